# SPDX-License-Identifier: Apache-2.0
"""The formats in plain numpy, as one writes them with temporaries used again."""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.array_peers.peer import CHECKED_ROWS, ArrayPeer, check_restored, check_shape
from benchmarks.fixtures import Array
from benchmarks.harness.case import Job


def _affine(x: Array, bits: int) -> Any:
    """Return codes, scales and zero points of the rows of `x`."""
    last = np.float32((1 << bits) - 1)
    low = np.minimum(x.min(-1, keepdims=True), 0)
    high = np.maximum(x.max(-1, keepdims=True), 0)
    scales = np.maximum((high - low) / last, np.float32(2.0**-126))
    zero_points = np.clip(-np.rint(low / scales), 0, last)
    codes = x * (1 / scales)
    np.rint(codes, out=codes)
    codes += zero_points
    np.clip(codes, 0, last, out=codes)
    return codes.astype(np.uint8), scales, zero_points


def _int4(w: Array, threads: int) -> Job:
    del threads

    def call() -> object:
        codes, scales, zero_points = _affine(w.reshape(-1, 128), 4)
        packed = codes[:, 1::2] << 4
        packed |= codes[:, ::2]
        return packed, scales, zero_points

    def verify(result: Any) -> None:
        packed, scales, zero_points = result
        check_shape(packed, (w.size // 128, 64), "codes")
        codes = np.stack([packed & 15, packed >> 4], -1).reshape(-1, 128)
        check_restored((codes - zero_points) * scales, w, group=128, bits=4, most=0.501)

    return Job(call, verify)


def _int8(w: Array, threads: int) -> Job:
    del threads

    def verify(result: Any) -> None:
        codes, scales, zero_points = result
        check_shape(codes, w.shape, "codes")
        rows = slice(CHECKED_ROWS)
        restored = (codes[rows] - zero_points[rows]) * scales[rows]
        check_restored(restored, w, group=w.shape[1], bits=8, most=0.51)

    return Job(partial(_affine, w, 8), verify)


def _int8_rowwise(w: Array, threads: int) -> Job:
    del threads

    def call() -> object:
        scales = np.maximum(np.abs(w).max(1, keepdims=True) / np.float32(127), np.float32(1e-30))
        codes = w / scales
        np.rint(codes, out=codes)
        np.clip(codes, -128, 127, out=codes)
        return codes.astype(np.int8), scales

    def verify(result: Any) -> None:
        codes, scales = result
        check_shape(codes, w.shape, "codes")
        restored = codes[:CHECKED_ROWS] * scales[:CHECKED_ROWS]
        check_restored(restored, w, group=w.shape[1], bits=8, most=0.51, symmetric=True)

    return Job(call, verify)


def _peer(job: str, title: str, way: Any, seconds_per_mb: float) -> ArrayPeer:
    return ArrayPeer(
        id=f"numpy_{job}",
        title=title,
        package="numpy",
        needs=("numpy",),
        job=job,
        way=way,
        threads=1,
        seconds_per_mb=seconds_per_mb,
    )


PEERS = (
    _peer("int4", "numpy, int4 in groups of 128, packed", _int4, 0.003),
    _peer("int8", "numpy, int8 per row", _int8, 0.0015),
    _peer("int8_rowwise", "numpy, int8_rowwise", _int8_rowwise, 0.001),
)
