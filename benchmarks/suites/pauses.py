# SPDX-License-Identifier: Apache-2.0
"""Calls that come now and then: hot, after a pause, and with an input out of the caches."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.array_peers import PEERS, peer_job
from benchmarks.fixtures import cold_weights, copies, missing_copy, sized, weights
from benchmarks.harness.case import Case, Job, Suite
from benchmarks.jobs import quantize_job

ABOUT = (
    "4 MB of float32 become int8 per row, by one thread and by two, in quarrow and in FBGEMM (in"
    " torch). 'hot': call after call, as all other suites measure. 'after 1 ms', 'after 20 ms':"
    " the caller sleeps before each call, so that worker threads and processors may have gone to"
    " sleep too. 'cold': another input each time, from more memory than the last cache holds."
)
MEGABYTES = 4
STATES = (
    ("hot", "call after call", 0.0),
    ("after_1ms", "after a pause of 1 ms", 0.001),
    ("after_20ms", "after a pause of 20 ms", 0.02),
    ("cold", "another input each time", 0.0),
)
FBGEMM = next(peer for peer in PEERS if peer.id == "fbgemm_int8")


def _job(who: str, state: str, pause: float, threads: int) -> Job:
    inputs = cold_weights(MEGABYTES) if state == "cold" else [weights(MEGABYTES)]
    if who == "quarrow":
        job = quantize_job(inputs, "int8", threads=threads)
    else:
        job = peer_job(FBGEMM, inputs, threads)
    return replace(job, before=partial(time.sleep, pause) if pause else None)


def _cases() -> Iterator[Case]:
    yield from copies((MEGABYTES,), chart="")
    for who in ("quarrow", "fbgemm"):
        if who == "fbgemm" and FBGEMM.lacks:
            continue
        for state, words, pause in STATES:
            for threads in (1, 2):
                count = f"{threads} thread{'s' * (threads > 1)}"
                yield Case(
                    **sized(MEGABYTES),
                    id=f"{who}_{state}_{threads}_thread{'s' * (threads > 1)}",
                    title=f"{'FBGEMM' if who == 'fbgemm' else who}, {count}, {words}",
                    prepare=partial(_job, who, state, pause, threads),
                    role="ours" if who == "quarrow" else "peer",
                    package="quarrow" if who == "quarrow" else FBGEMM.package,
                    threads=threads,
                    job=f"int8 of 4 MB, {count}, {state}",
                )


def suite() -> Suite:
    """Return the suite."""
    missing = missing_copy() | ({"torch": f"{FBGEMM.lacks}: no FBGEMM"} if FBGEMM.lacks else {})
    return Suite("pauses", "Calls now and then", ABOUT, tuple(_cases()), missing)
