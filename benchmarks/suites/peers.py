# SPDX-License-Identifier: Apache-2.0
"""The same job by quarrow and by every other library that is installed."""

import functools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks import array_peers
from benchmarks.array_peers.peer import ArrayPeer, is_installed
from benchmarks.array_peers.torch_peers import eager_int4, fbgemm_int4, torch
from benchmarks.fixtures import SIZES, Array, copies, copy_id, matrix_bytes, weights
from benchmarks.harness.case import Case, Job, Suite
from benchmarks.verification import check_quantized, require

ABOUT = (
    "One matrix [rows, 1024] of float32 in memory, quantized by quarrow and by the libraries that"
    " are installed, beside np.copyto. 'into' writes arrays that exist (out=), 'fresh' makes new"
    " ones, as most of the others always do: that is compared with who does the same job. The title"
    " says where a peer's format or work is not quite the same. Others (nf4, fp8, Q4_0...) stand"
    " beside the copy alone. Two threads may work, where a library uses threads. ggml's functions"
    " use none: a half of the rows goes to each of two threads. One-thread figures are benchmarks"
    " of their own. 'small' is a call on 32 x 128 values, in blocks of calls; 'small no-op' is a"
    " Python function that takes the array and does nothing. 'read' adds the input up; 'tolist' is"
    " what a list API costs before any work. Every result is checked, most by restoring values."
)
FORMATS = {
    "int4": "int4 in groups of 128, packed",
    "int8": "int8 per row",
    "int8_rowwise": "int8_rowwise",
}
SMALL_CALLS = 200
# Of these one takes 100 us and more.
SLOW_SMALL_CALLS = 20
SMALL_JOB = "int4, 32 x 128"
SMALL_TORCH = ("small_int4_torch", "small_fbgemm_int4", "small_torch_eager_int4")
# Seconds for 1 MB as a list.
TOLIST_SECONDS_PER_MB = 0.007


def job_word(format_: str, megabytes: int, threads: int = 2) -> str:
    """Return what a peer's benchmark and ours have in common."""
    return f"{format_}, {megabytes} MB" + ", one thread" * (threads == 1)


def _check(result: Any, w: Array) -> None:
    check_quantized(result, w)
    require(result.stats.bytes_copied == 0, "the input was copied")


def _quantize_job(format_: str, megabytes: int, threads: int, *, into: bool) -> Job:
    w = weights(megabytes)
    out = qr.quantize(w, format_) if into else None

    call = partial(qr.quantize, w, format_, out=out, threads=threads)
    return Job(call, partial(_check, w=w))


def _result_bytes(format_: str, megabytes: int) -> int:
    """Return about the bytes of a result: codes, float32 scales, zero points."""
    values = matrix_bytes(megabytes) // 4
    return values // 2 + values // 128 * 5 if format_ == "int4" else values + values // 1024 * 5


def _ours(format_: str, megabytes: int) -> Iterator[Case]:
    words = FORMATS[format_]
    for into, threads in ((True, 2), (True, 1), (False, 2), (False, 1)):
        one = threads == 1
        name = f"{format_} {'into' if into else 'fresh'}"
        yield Case(
            id=f"{name.replace(' ', '_')}_{megabytes}mb" + "_1_thread" * one,
            title=f"{words}, {'existing' if into else 'new'} memory, {megabytes} MB"
            + ", one thread" * one,
            prepare=partial(_quantize_job, format_, megabytes, threads, into=into),
            line=name + ", one thread" * one,
            size=megabytes,
            bytes=matrix_bytes(megabytes),
            threads=threads,
            copy=copy_id(megabytes),
            # The others make new memory for their results: only that is the same job.
            job="" if into else job_word(format_, megabytes, threads),
            memory=0 if into else _result_bytes(format_, megabytes),
        )


def _peer_job(peer: ArrayPeer, megabytes: int, threads: int) -> Job:
    return peer.way(weights(megabytes), threads)


def _peer_cases(peer: ArrayPeer) -> Iterator[Case]:
    for megabytes in peer.sizes:
        for threads in (peer.threads, 1) if peer.one_thread else (peer.threads,):
            one = threads == 1 and peer.one_thread
            yield Case(
                id=f"{peer.id}_{megabytes}mb" + "_1_thread" * one,
                title=f"{peer.title}, {megabytes} MB" + ", one thread" * one,
                prepare=partial(_peer_job, peer, megabytes, threads),
                role="peer",
                package=peer.package,
                line=peer.title.split(",")[0].split(":")[0]
                + f", {peer.job}"
                + ", one thread" * one,
                size=megabytes,
                bytes=matrix_bytes(megabytes),
                threads=threads,
                copy=copy_id(megabytes),
                job=job_word(peer.job, megabytes, 1 if one else 2),
                seconds=peer.seconds_per_mb * megabytes,
            )


@functools.cache
def _small() -> Array:
    return weights(4)[:4].reshape(32, 128).copy()


def _small_job() -> Job:
    w = _small()
    return Job(lambda: qr.quantize(w, "int4"), partial(_check, w=w))


def _small_tensor_job() -> Job:
    w = _small()
    tensor = torch().from_numpy(w)
    return Job(lambda: qr.quantize(tensor, "int4"), partial(_check, w=w))


def _small_peer_job(way: Callable[[Array, int], Job]) -> Job:
    # Setting the number of threads would be a tenth of such a call.
    return way(_small(), 0)


def takes_array(w: Array) -> None:
    """Do nothing with an array."""
    del w


def _no_op_job() -> Job:
    w = _small()
    return Job(lambda: takes_array(w), stats=lambda _: [])


def _small_cases() -> Iterator[Case]:
    case = partial(Case, calls=SMALL_CALLS, job=SMALL_JOB)
    yield case(id="small_int4", title="int4 of 32 x 128 values, a numpy array", prepare=_small_job)
    yield case(
        id="small_noop",
        title="a Python function that takes the array of 32 x 128 values",
        prepare=_no_op_job,
        role="control",
        package="",
        job="",
    )
    if not is_installed("torch"):
        return
    yield case(
        id="small_int4_torch",
        title="int4 of 32 x 128 values, a torch tensor",
        prepare=_small_tensor_job,
    )
    yield case(
        id="small_fbgemm_int4",
        title="FBGEMM in torch, 4 bit, 32 x 128 values",
        prepare=partial(_small_peer_job, fbgemm_int4),
        role="peer",
        package="torch",
    )
    yield case(
        id="small_torch_eager_int4",
        title="torch eager, int4, 32 x 128 values",
        prepare=partial(_small_peer_job, eager_int4),
        role="peer",
        package="torch",
        calls=SLOW_SMALL_CALLS,
    )


def _read_job(megabytes: int) -> Job:
    values = weights(megabytes).ravel()

    def verify(result: Any) -> None:
        require(np.isfinite(result), "the sum is not a number")

    return Job(partial(np.add.reduce, values), verify, lambda _: [])


def _list_job(megabytes: int) -> Job:
    w = weights(megabytes)

    def verify(result: Any) -> None:
        require(len(result) == len(w) and result[-1] == w[-1].tolist(), "other values")

    return Job(w.tolist, verify, lambda _: [])


def _controls(megabytes: int) -> Iterator[Case]:
    case = partial(
        Case,
        role="control",
        package="numpy",
        size=megabytes,
        bytes=matrix_bytes(megabytes),
        copy=copy_id(megabytes),
    )
    yield case(
        id=f"read_{megabytes}mb",
        title=f"np.add.reduce of {megabytes} MB",
        prepare=partial(_read_job, megabytes),
        line="read",
    )
    if megabytes <= 40:
        yield case(
            id=f"tolist_{megabytes}mb",
            title=f"w.tolist() of {megabytes} MB",
            prepare=partial(_list_job, megabytes),
            line="tolist",
            seconds=TOLIST_SECONDS_PER_MB * megabytes,
        )


def _cases() -> Iterator[Case]:
    yield from copies()
    for megabytes in SIZES:
        yield from _controls(megabytes)
        for format_ in FORMATS:
            yield from _ours(format_, megabytes)
    yield from _small_cases()
    for peer in array_peers.installed():
        yield from _peer_cases(peer)


def suite() -> Suite:
    """Return the suite."""
    missing = array_peers.missing()
    if "torch" in missing:
        missing["torch"] += f": no {', '.join(SMALL_TORCH)}"
    return Suite("peers", "Beside other libraries", ABOUT, tuple(_cases()), missing)
