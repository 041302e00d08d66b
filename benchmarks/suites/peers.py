# SPDX-License-Identifier: Apache-2.0
"""The same job by quarrow and by every other library that is installed."""

import functools
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import array_peers
from benchmarks.array_peers import PEERS, Peer, is_installed, peer_job
from benchmarks.fixtures import (
    SIZES,
    Array,
    copies,
    matrix_bytes,
    missing_copy,
    no_stats,
    sized,
    tensors,
    weights,
)
from benchmarks.harness.case import Case, Job, Role, Suite
from benchmarks.jobs import quantize_job, read_job

ABOUT = (
    "One matrix [rows, 1024] of float32 in memory, quantized by quarrow and by the libraries that"
    " are installed, beside a copy. 'into' writes arrays that exist (out=), 'fresh' makes new"
    " ones, as most of the others always do: that is compared with who does the same job. The title"
    " says where a peer's format or work is not quite the same. Others (nf4, fp8, Q4_0...) stand"
    " beside the copy alone. Two threads may work, where a library uses threads. ggml's functions"
    " use none: a half of the rows goes to each of two threads. One-thread figures are benchmarks"
    " of their own. 'small' is a call on 32 x 128 values, in blocks of calls; 'read' goes on until"
    " codes, scales and zero points are in the caller's hands; 'small no-op' is a Python function"
    " that takes the array and does nothing. Every result is checked, most by restoring values."
)
# The words, and the result's bytes for each value: codes, float32 scales, zero points.
FORMATS = {
    "int4": ("int4 in groups of 128, packed", 1 / 2 + 5 / 128),
    "int8": ("int8 per row", 1 + 5 / 1024),
    "int8_rowwise": ("int8_rowwise", 1 + 5 / 1024),
}
SMALL_CALLS = 200


def job_word(format_: str, megabytes: int, threads: int = 2) -> str:
    """Return what a peer's benchmark and ours have in common."""
    return f"{format_}, {megabytes} MB" + ", one thread" * (threads == 1)


def _quantize(format_: str, megabytes: int, threads: int, *, into: bool) -> Job:
    return quantize_job([weights(megabytes)], format_, into=into, threads=threads)


def _ours(format_: str, megabytes: int) -> Iterator[Case]:
    words, stored = FORMATS[format_]
    for into, threads in ((True, 2), (True, 1), (False, 2), (False, 1)):
        one = threads == 1
        name = "into" if into else "fresh"
        yield Case(
            **sized(megabytes),
            id=f"{format_}_{name}_{megabytes}mb" + "_1_thread" * one,
            title=f"{words}, {'existing' if into else 'new'} memory, {megabytes} MB"
            + ", one thread" * one,
            prepare=partial(_quantize, format_, megabytes, threads, into=into),
            chart="" if into or one else format_,
            line="quarrow",
            threads=threads,
            # The others make new memory for their results: only that is the same job.
            job="" if into else job_word(format_, megabytes, threads),
            memory=0 if into else int(matrix_bytes(megabytes) / 4 * stored),
        )


def chart_of(peer: Peer) -> str:
    """Return the chart of a peer: that of our format, or one of formats that we have not."""
    if not peer.charted:
        return ""
    if peer.format in FORMATS:
        return peer.format
    return "ggml's formats" if peer.package == "pywhispercpp" else "other formats"


def _peer(peer: Peer, megabytes: int, threads: int) -> Job:
    return peer_job(peer, [weights(megabytes)], threads)


def peer_cases(peer: Peer) -> Iterator[Case]:
    """Return a peer's benchmarks."""
    named = peer.format in FORMATS or peer.format in peer.name.lower()
    line = peer.name if named else f"{peer.name} {peer.format}"
    for megabytes in peer.sizes:
        for threads in (peer.threads, 1) if peer.one_thread else (peer.threads,):
            one = threads == 1 and peer.one_thread
            yield Case(
                **sized(megabytes),
                id=f"{peer.id}_{megabytes}mb" + "_1_thread" * one,
                title=f"{peer.name}, {peer.words}, {megabytes} MB" + ", one thread" * one,
                prepare=partial(_peer, peer, megabytes, threads),
                role="peer",
                package=peer.package,
                chart="" if one else chart_of(peer),
                line=line,
                threads=threads,
                job=job_word(peer.format, megabytes, 1 if one else 2),
                seconds=peer.seconds_per_mb * megabytes,
            )


@functools.cache
def small() -> Array:
    """Return 32 x 128 weights."""
    return weights(4)[:4].reshape(32, 128).copy()


def takes_array(w: Array) -> None:
    """Do nothing with an array."""
    del w


def _small_peer(name: str) -> Job:
    # Setting the number of threads would be a tenth of such a call.
    return peer_job(next(peer for peer in PEERS if peer.id == name), [small()], 0)


# The id's end, the title's, the job, the role, the package.
SMALL: tuple[tuple[str, str, Callable[[], Job], Role, str], ...] = (
    ("int4", "int4, a numpy array", lambda: quantize_job([small()], "int4"), "ours", "quarrow"),
    ("int4_read", "int4, a numpy array, its arrays read", lambda: read_job(small(), "int4"),
     "ours", "quarrow"),
    ("int4_torch", "int4, a torch tensor",
     lambda: quantize_job(list(tensors({"a": small()}).values()), "int4"), "ours", "quarrow"),
    ("noop", "a Python function that takes the array",
     lambda: Job(partial(takes_array, small()), stats=no_stats), "control", ""),
    ("fbgemm_int4", "FBGEMM in torch, 4 bit", partial(_small_peer, "fbgemm_int4"),
     "peer", "torch"),
    ("torch_eager_int4", "torch eager, int4", partial(_small_peer, "torch_eager_int4"),
     "peer", "torch"),
)  # fmt: skip


def _needs_torch(name: str, package: str) -> bool:
    return "torch" in (name.rpartition("_")[2], package)


def _small_cases() -> Iterator[Case]:
    for name, words, prepare, role, package in SMALL:
        if _needs_torch(name, package) and not is_installed("torch"):
            continue
        yield Case(
            id=f"small_{name}",
            title=f"32 x 128 values: {words}",
            prepare=prepare,
            role=role,
            package=package,
            # torch's operations take 100 us together.
            calls=20 if "eager" in name else SMALL_CALLS,
            job="" if role == "control" else "int4, 32 x 128",
        )


def _cases() -> Iterator[Case]:
    yield from copies()
    for megabytes in SIZES:
        for format_ in FORMATS:
            yield from _ours(format_, megabytes)
    yield from _small_cases()
    for peer in PEERS:
        if not peer.lacks:
            yield from peer_cases(peer)


def suite() -> Suite:
    """Return the suite."""
    missing = array_peers.missing()
    if "torch" in missing:
        names = [name for name, *_, package in SMALL if _needs_torch(name, package)]
        missing["torch"] += "".join(f", no small_{name}" for name in names)
    title = "Beside other libraries"
    return Suite("peers", title, ABOUT, tuple(_cases()), missing | missing_copy())
