# SPDX-License-Identifier: Apache-2.0
"""torch itself: its eager operations, and FBGEMM's row-wise quantizers inside it.

How many threads torch uses is a setting of the process, which many benchmarks share: each call
sets its own, which takes less than a microsecond.
"""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.array_peers.peer import CHECKED_ROWS, ArrayPeer, check_restored, check_shape
from benchmarks.fixtures import Array
from benchmarks.harness.case import Job
from benchmarks.verification import require


def torch() -> Any:
    """Return the module."""
    return importlib.import_module("torch")


def with_threads(threads: int, call: Callable[[], object]) -> Callable[[], object]:
    """Return a call for which torch uses so many threads; 0 leaves them as they are."""
    if not threads:
        return call
    set_threads = torch().set_num_threads

    def run() -> object:
        set_threads(threads)
        return call()

    return run


def _affine(x: Any, bits: int) -> Any:
    """Return codes, scales and zero points of the rows of `x`."""
    last = (1 << bits) - 1
    low, high = torch().aminmax(x, dim=-1, keepdim=True)
    low, high = low.clamp_(max=0), high.clamp_(min=0)
    scales = high.sub_(low).div_(last).clamp_(min=2.0**-126)
    zero_points = low.div_(scales).round_().neg_().clamp_(0, last)
    codes = (x * scales.reciprocal()).round_().add_(zero_points).clamp_(0, last)
    return codes.to(torch().uint8), scales, zero_points


def eager_int4(w: Array, threads: int) -> Job:
    """Return the job of int4 in groups of 128, two codes a byte."""
    x = torch().from_numpy(w).view(-1, 128)

    def call() -> object:
        codes, scales, zero_points = _affine(x, 4)
        return codes[:, 1::2].bitwise_left_shift(4).bitwise_or_(codes[:, ::2]), scales, zero_points

    def verify(result: Any) -> None:
        packed, scales, zero_points = result
        check_shape(packed, (w.size // 128, 64), "codes")
        codes = torch().stack([packed & 15, packed >> 4], -1).view(-1, 128)
        restored = ((codes - zero_points) * scales).numpy()
        check_restored(restored, w, group=128, bits=4, most=0.501)

    return Job(with_threads(threads, call), verify)


def _eager_int8(w: Array, threads: int) -> Job:
    x = torch().from_numpy(w)

    def verify(result: Any) -> None:
        codes, scales, zero_points = (each[:CHECKED_ROWS] for each in result)
        check_shape(result[0], w.shape, "codes")
        restored = ((codes - zero_points) * scales).numpy()
        check_restored(restored, w, group=w.shape[1], bits=8, most=0.51)

    return Job(with_threads(threads, lambda: _affine(x, 8)), verify)


def check_rowwise(result: Any, w: Array) -> None:
    """Check signed codes and a scale per row."""
    codes, scales = result
    check_shape(codes, w.shape, "codes")
    restored = codes[:CHECKED_ROWS].float() * scales.view(-1, 1)[:CHECKED_ROWS]
    check_restored(restored.numpy(), w, group=w.shape[1], bits=8, most=0.51, symmetric=True)


def _eager_int8_rowwise(w: Array, threads: int) -> Job:
    x = torch().from_numpy(w)

    def call() -> object:
        scales = x.abs().amax(1, keepdim=True).div_(127).clamp_(min=1e-30)
        return (x / scales).round_().clamp_(-128, 127).to(torch().int8), scales

    return Job(with_threads(threads, call), partial(check_rowwise, w=w))


def check_fp8(result: Any, w: Array) -> None:
    """Check e4m3 codes with one scale: three bits follow the first, 2**-9 is the smallest."""
    codes, scale = result
    check_shape(codes, w.shape, "codes")
    rows = w[:CHECKED_ROWS]
    error = np.abs((codes[:CHECKED_ROWS].float() * scale).numpy() - rows)
    near = np.all(error <= 1.001 * np.maximum(np.abs(rows) / 16, float(scale) * 2**-10))
    require(near, "values are more than half a code from their input")


def _eager_fp8(w: Array, threads: int) -> Job:
    x = torch().from_numpy(w)

    def call() -> object:
        scale = x.abs().amax().div_(448)
        return (x / scale).clamp_(-448, 448).to(torch().float8_e4m3fn), scale

    return Job(with_threads(threads, call), partial(check_fp8, w=w))


def fbgemm_int4(w: Array, threads: int) -> Job:
    """Return FBGEMM's job of 4 bits in rows of 128, with their scale and bias behind them."""
    quantized = torch().ops.quantized
    # Looked up once: a small call takes little longer than that.
    prepack = quantized.embedding_bag_4bit_prepack
    rows = torch().from_numpy(w).view(-1, 128)

    def verify(result: Any) -> None:
        check_shape(result, (len(rows), 64 + 2 * 2), "rows")
        restored = quantized.embedding_bag_4bit_unpack(result[: CHECKED_ROWS * w.shape[1] // 128])
        # Scale and bias are float16.
        check_restored(restored.numpy(), w, group=128, bits=4, most=0.55)

    return Job(with_threads(threads, partial(prepack, rows)), verify)


def _fbgemm_int8(w: Array, threads: int) -> Job:
    quantized = torch().ops.quantized
    prepack = quantized.embedding_bag_byte_prepack
    rows = torch().from_numpy(w)

    def verify(result: Any) -> None:
        check_shape(result, (len(rows), w.shape[1] + 2 * 4), "rows")
        restored = quantized.embedding_bag_byte_unpack(result[:CHECKED_ROWS])
        check_restored(restored.numpy(), w, group=w.shape[1], bits=8, most=0.51)

    return Job(with_threads(threads, partial(prepack, rows)), verify)


def _peer(id_: str, title: str, job: str, way: Any, seconds_per_mb: float, **how: Any) -> ArrayPeer:
    return ArrayPeer(
        id=id_,
        title=title,
        package="torch",
        needs=("torch",),
        job=job,
        way=way,
        seconds_per_mb=seconds_per_mb,
        **how,
    )


PEERS = (
    _peer(
        "fbgemm_int4",
        "FBGEMM in torch, 4 bit in rows of 128, float16 scale and bias in the row",
        "int4",
        fbgemm_int4,
        0.0001,
        one_thread=True,
    ),
    _peer(
        "fbgemm_int8",
        "FBGEMM in torch, 8 bit per row, float32 scale and bias in the row",
        "int8",
        _fbgemm_int8,
        0.0001,
        one_thread=True,
    ),
    _peer(
        "torch_eager_int4", "torch eager, int4 in groups of 128, packed", "int4", eager_int4, 0.002
    ),
    _peer("torch_eager_int8", "torch eager, int8 per row", "int8", _eager_int8, 0.001),
    _peer(
        "torch_eager_int8_rowwise",
        "torch eager, int8_rowwise",
        "int8_rowwise",
        _eager_int8_rowwise,
        0.001,
        one_thread=True,
    ),
    _peer("torch_eager_fp8", "torch eager, fp8 e4m3, one scale", "fp8_e4m3", _eager_fp8, 0.001),
)
