# SPDX-License-Identifier: Apache-2.0
"""Calls now and then.

4 MB of float32 become int8 per row, by one thread and by two, in quarrow and in FBGEMM (in torch).
'hot': call after call, as all other suites measure. 'after 1 ms', 'after 20 ms': the caller sleeps
before each call, so that worker threads and processors may have gone to sleep too. 'cold': another
input each time, from more memory than the last cache holds.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.array_peers import PEERS, peer_job
from benchmarks.cases import case_of_size, copies, missing_copy, threads_text
from benchmarks.fixtures import cold_weights, weights
from benchmarks.harness.case import Case, Job
from benchmarks.jobs import quantize_job

STATES = (
    ("hot", "call after call", 0.0),
    ("after_1ms", "after a pause of 1 ms", 0.001),
    ("after_20ms", "after a pause of 20 ms", 0.02),
    ("cold", "another input each time", 0.0),
)
FBGEMM = next(peer for peer in PEERS if peer.id == "fbgemm_int8")


def _job(megabytes: int, who: str, state: str, pause: float, threads: int) -> Job:
    inputs = cold_weights(megabytes) if state == "cold" else [weights(megabytes)]
    if who == "quarrow":
        job = quantize_job(inputs, "int8", threads=threads)
    else:
        job = peer_job(FBGEMM, inputs, threads)
    return replace(job, before=partial(time.sleep, pause) if pause else None)


def cases() -> Iterator[Case]:
    yield from copies((4,), chart="")
    for who in ("quarrow",) if FBGEMM.lacks else ("quarrow", "fbgemm"):
        ours = who == "quarrow"
        for state, words, pause in STATES:
            for threads in (1, 2):
                count = threads_text(threads)
                yield case_of_size(
                    4,
                    f"{who}_{state}_{count.replace(' ', '_')}",
                    f"{who if ours else 'FBGEMM'}, {count}, {words}",
                    partial(_job, who=who, state=state, pause=pause, threads=threads),
                    role="ours" if ours else "peer",
                    package="quarrow" if ours else FBGEMM.package,
                    threads=threads,
                    # The copy is made call after call, of one input.
                    copy="copy_{}mb" if state == "hot" else "",
                    job=f"int8 of 4 MB, {count}, {state}",
                )


def missing() -> dict[str, str]:
    return missing_copy() | ({"torch": f"{FBGEMM.lacks}: no FBGEMM"} if FBGEMM.lacks else {})
