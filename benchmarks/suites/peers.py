# SPDX-License-Identifier: Apache-2.0
"""Beside other libraries.

One matrix [rows, 1024] of float32 in memory, quantized by quarrow and by the libraries that are
installed, beside a copy. 'into' writes arrays that exist (out=), 'fresh' makes new ones, as most of
the others always do: that is compared with who does the same job. The title says where a peer's
format or work is not quite the same. Others (nf4, fp8, Q4_0...) stand beside the copy alone. Two
threads may work, where a library uses threads. The functions of numpy, gguf-py and ggml use none: a
half of the rows goes to each of two threads. One-thread figures are benchmarks of their own; mlx,
which has one thread on a CPU and cannot be split, stands beside those. 'small' is a call on 32 x
128 values, in blocks of calls; 'read' goes on until codes, scales and zero points are in the
caller's hands; 'small no-op' is a Python function that takes the array and does nothing. Every
result is checked, most by restoring values.
"""

import functools
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.array_peers import PEERS, Peer, peer_job
from benchmarks.cases import case_of_size, copies, missing_copy
from benchmarks.fixtures import SIZES, Array, is_installed, matrix_bytes, tensors, weights
from benchmarks.harness.case import Case, Job, accept_anything, no_stats
from benchmarks.jobs import quantize_job, read_job

# The words, and the result's bytes for each value: codes, float32 scales, zero points.
FORMATS = {
    "int4": ("int4 in groups of 128, packed", 1 / 2 + 5 / 128),
    "int8": ("int8 per row", 1 + 5 / 1024),
    "int8_rowwise": ("int8_rowwise", 1 + 5 / 1024),
}


def _quantize(megabytes: int, format_: str, threads: int, *, into: bool) -> Job:
    return quantize_job([weights(megabytes)], format_, into=into, threads=threads)


def _ours(format_: str, megabytes: int) -> Iterator[Case]:
    words, stored = FORMATS[format_]
    for into in (True, False):
        for threads in (2, 1):
            one = threads == 1
            memory = "existing" if into else "new"
            yield case_of_size(
                megabytes,
                f"{format_}_{'into' if into else 'fresh'}_{{}}mb" + "_1_thread" * one,
                f"{words}, {memory} memory, {{}} MB" + ", one thread" * one,
                partial(_quantize, format_=format_, threads=threads, into=into),
                chart="" if into or one else format_,
                line="quarrow",
                threads=threads,
                # The others make new memory for their results: only that is the same job.
                job="" if into else f"{format_}, {{}} MB" + ", one thread" * one,
                memory=0 if into else int(matrix_bytes(megabytes) / 4 * stored),
            )


def _chart_of(peer: Peer) -> str:
    """Return the chart of a peer: that of our format, or one of formats that we have not."""
    if not peer.charted:
        return ""
    if peer.format in FORMATS:
        return peer.format
    return "ggml's formats" if peer.package == "pywhispercpp" else "other formats"


def _peer(megabytes: int, peer: Peer, threads: int) -> Job:
    return peer_job(peer, [weights(megabytes)], threads)


def peer_cases(peer: Peer) -> Iterator[Case]:
    named = peer.format in FORMATS or peer.format in peer.name.lower()
    for megabytes in peer.sizes:
        for threads in (peer.threads, 1) if peer.one_thread else (peer.threads,):
            one = threads == 1
            again = one and peer.one_thread
            line = peer.name if named else f"{peer.name} {peer.format}"
            yield case_of_size(
                megabytes,
                peer.id + "_{}mb" + "_1_thread" * again,
                f"{peer.name}, {peer.words}, {{}} MB" + ", one thread" * one,
                partial(_peer, peer=peer, threads=threads),
                role="peer",
                package=peer.package,
                chart="" if again else _chart_of(peer),
                line=line + ", 1 thread" * one,
                threads=threads,
                job=f"{peer.format}, {{}} MB" + ", one thread" * one,
                seconds=peer.seconds_per_mb * megabytes,
            )


@functools.cache
def small() -> Array:
    return weights(4)[:4].reshape(32, 128).copy()


def _small_peer(name: str) -> Job:
    # Setting the number of threads would be a tenth of such a call.
    return peer_job(next(peer for peer in PEERS if peer.id == name), [small()], 0)


# The id's end, the title's, the job, the calls of a block: torch's operations take 100 us together.
SMALL: tuple[tuple[str, str, Callable[[], Job], int], ...] = (
    ("int4", "int4, a numpy array", lambda: quantize_job([small()], "int4"), 200),
    ("int4_read", "int4, a numpy array, its arrays read", lambda: read_job(small(), "int4"), 200),
    ("int4_torch", "int4, a torch tensor",
     lambda: quantize_job([tensors({"a": small()})["a"]], "int4"), 200),
    ("noop", "a Python function that takes the array",
     lambda: Job(partial(accept_anything, small()), stats=no_stats), 200),
    ("fbgemm_int4", "FBGEMM in torch, 4 bit", partial(_small_peer, "fbgemm_int4"), 200),
    ("torch_eager_int4", "torch eager, int4", partial(_small_peer, "torch_eager_int4"), 20),
)  # fmt: skip
SMALL_PEERS = ("fbgemm_int4", "torch_eager_int4")
SMALL_WITH_TORCH = ("int4_torch", *SMALL_PEERS)


def _small_cases() -> Iterator[Case]:
    for name, words, prepare, calls in SMALL:
        if name in SMALL_WITH_TORCH and not is_installed("torch"):
            continue
        peer, control = name in SMALL_PEERS, name == "noop"
        yield Case(
            id=f"small_{name}",
            title=f"32 x 128 values: {words}",
            prepare=prepare,
            role="peer" if peer else "control" if control else "ours",
            package="torch" if peer else "" if control else "quarrow",
            calls=calls,
            job="" if control else "int4, 32 x 128",
        )


def cases() -> Iterator[Case]:
    yield from copies()
    for megabytes in SIZES:
        for format_ in FORMATS:
            yield from _ours(format_, megabytes)
    yield from _small_cases()
    for peer in PEERS:
        if not peer.lacks:
            yield from peer_cases(peer)


def missing() -> dict[str, str]:
    absent = {peer.package: peer.lacks for peer in PEERS if peer.lacks}
    if "torch" in absent:
        absent["torch"] += "".join(f", no small_{name}" for name in SMALL_WITH_TORCH)
    return absent | missing_copy()
