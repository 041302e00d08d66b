# SPDX-License-Identifier: Apache-2.0
"""Libraries that need no torch: ggml (C), gguf-py, onnxruntime, mlx."""

import ctypes
import functools
import importlib
import importlib.metadata
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.array_peers.peer import CHECKED_ROWS, ArrayPeer, check_restored, check_shape
from benchmarks.fixtures import Array
from benchmarks.harness.case import Job
from benchmarks.verification import require

GGML_PACKAGE = "pywhispercpp"
# The number of a type in ggml.h, values that share a scale, bits, steps that values may be off.
# 6 and 4 bit K formats search for scales, mxfp4 and nvfp4 cut off and have gaps of 2 below 6.
GGML_TYPES = {
    "q4_0": (2, 32, 4, 1.1),
    "q8_0": (8, 32, 8, 0.6),
    "q4_K": (12, 32, 4, 2.0),
    "q6_K": (14, 16, 6, 2.0),
    "mxfp4": (39, 32, 4, 2.0),
    "nvfp4": (40, 16, 4, 2.5),
}


@functools.cache
def _ggml() -> ctypes.CDLL:
    """Load the libggml-base that a wheel has brought along."""
    files = importlib.metadata.files(GGML_PACKAGE) or []
    found = [each for each in files if each.name.startswith("libggml-base")]
    if not found:
        message = f"there is no libggml-base in {GGML_PACKAGE}"
        raise ImportError(message)
    library = ctypes.CDLL(str(found[0].locate()))
    library.ggml_type_name.restype = ctypes.c_char_p
    library.ggml_row_size.restype = ctypes.c_size_t
    library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, pointer, pointer, count, count, count, pointer
    ]  # fmt: skip
    return library


@functools.cache
def _two_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


def _ggml_job(w: Array, threads: int, name: str) -> Job:
    library = _ggml()
    number, group, bits, most = GGML_TYPES[name]
    told = library.ggml_type_name(number)
    require(told == name.encode(), f"type {number} is {told!r} here and not {name}")
    rows, columns = w.shape
    out = np.zeros((rows, library.ggml_row_size(number, columns)), np.uint8)
    library.ggml_quantize_init(number)
    half = rows // 2
    source, target = w.ctypes.data, out.ctypes.data

    def part(start: int, count: int) -> int:
        # A function of C called through ctypes runs without the lock.
        done: int = library.ggml_quantize_chunk(
            number, source, target, start * columns, count, columns, None
        )
        return done

    def two() -> object:
        return out, sum(_two_threads().map(part, (0, half), (half, rows - half)))

    def one() -> object:
        return out, part(0, rows)

    def verify(result: Any) -> None:
        require(result[1] == out.nbytes, f"{result[1]} bytes instead of {out.nbytes}")
        restore = getattr(library, f"dequantize_row_{name}")
        restore.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        restore.restype = None
        restored = np.empty((min(rows, CHECKED_ROWS), columns), np.float32)
        restore(target, restored.ctypes.data, restored.size)
        check_restored(restored, w, group=group, bits=bits, most=most, symmetric=True)

    return Job(two if threads == 2 else one, verify)


def _gguf(w: Array, threads: int, name: str) -> Job:
    del threads
    library = importlib.import_module("gguf")
    type_ = library.GGMLQuantizationType[name.upper()]
    _, group, bits, most = GGML_TYPES[name]

    def verify(result: Any) -> None:
        require(len(result) == len(w), f"{len(result)} rows instead of {len(w)}")
        restored = library.dequantize(result[:CHECKED_ROWS], type_)
        check_restored(restored, w, group=group, bits=bits, most=most, symmetric=True)

    return Job(lambda: library.quantize(w, type_), verify)


def _onnxruntime(w: Array, threads: int) -> Job:
    del threads
    quantize = importlib.import_module("onnxruntime.capi._pybind_state").quantize_matmul_4bits
    rows, columns = w.shape
    blocks = columns // 128
    # It wants the weight of y = x @ w: inputs along the rows.
    turned = np.ascontiguousarray(w.T)
    codes = np.zeros((rows, blocks, 64), np.uint8)
    scales = np.zeros(rows * blocks, np.float32)
    zero_points = np.zeros(rows * blocks // 2, np.uint8)

    def call() -> object:
        quantize(codes, turned, scales, zero_points, 128, rows, columns, False)
        return codes

    def verify(result: Any) -> None:
        del result
        codes_, points = (
            np.stack([each & 15, each >> 4], -1).reshape(rows * blocks, -1).astype(np.float32)
            for each in (codes, zero_points.reshape(-1, 1))
        )
        restored = (codes_ - points.reshape(-1, 1)) * scales.reshape(-1, 1)
        check_restored(restored, w, group=128, bits=4, most=0.6)

    return Job(call, verify)


def _mlx(w: Array, threads: int, bits: int) -> Job:
    del threads
    mlx = importlib.import_module("mlx.core")
    how = {"group_size": 128, "bits": bits, "stream": mlx.cpu}
    x = mlx.array(w)
    mlx.eval(x)

    def call() -> object:
        result = mlx.quantize(x, **how)
        mlx.eval(result)
        return result

    def verify(result: Any) -> None:
        check_shape(result[0], (len(w), w.shape[1] * bits // 32), "codes")
        parts = [each[:CHECKED_ROWS] for each in result]
        restored = np.array(mlx.dequantize(*parts, **how))
        # Its scale is changed so that the value of the larger end has a code of its own.
        check_restored(restored, w, group=128, bits=bits, most=1.1)

    return Job(call, verify)


def _ggml_peer(name: str, seconds_per_mb: float, about: str) -> ArrayPeer:
    return ArrayPeer(
        id=f"ggml_{name.lower()}",
        title=f"ggml in C, {name.upper()}: {about}",
        package=GGML_PACKAGE,
        needs=(GGML_PACKAGE,),
        job=name.lower(),
        way=partial(_ggml_job, name=name),
        seconds_per_mb=seconds_per_mb,
    )


def _gguf_peer(name: str, seconds_per_mb: float) -> ArrayPeer:
    return ArrayPeer(
        id=f"gguf_{name}",
        title=f"gguf-py, {name.upper()}: blocks of 32",
        package="gguf",
        needs=("gguf",),
        job=name,
        way=partial(_gguf, name=name),
        threads=1,
        seconds_per_mb=seconds_per_mb,
    )


PEERS = (
    _ggml_peer("q4_0", 0.0005, "4 bit in blocks of 32"),
    _ggml_peer("q8_0", 0.0007, "8 bit in blocks of 32"),
    _ggml_peer("q4_K", 0.012, "4 bit in super-blocks of 256, searched"),
    _ggml_peer("q6_K", 0.006, "6 bit in super-blocks of 256, searched"),
    _ggml_peer("mxfp4", 0.002, "fp4 in blocks of 32"),
    _ggml_peer("nvfp4", 0.002, "fp4 in blocks of 16"),
    _gguf_peer("q4_0", 0.002),
    _gguf_peer("q8_0", 0.0035),
    ArrayPeer(
        id="onnxruntime_int4",
        title="onnxruntime, MatMul4Bits in blocks of 128 of the transposed weight",
        package="onnxruntime",
        needs=("onnxruntime",),
        job="int4",
        way=_onnxruntime,
        threads=qr.info()["cpus"],
        seconds_per_mb=0.003,
        sizes=(4, 40),
    ),
    ArrayPeer(
        id="mlx_int4",
        title="mlx on the CPU, int4 in groups of 128, float scale and bias",
        package="mlx",
        needs=("mlx",),
        job="int4",
        way=partial(_mlx, bits=4),
        threads=1,
        seconds_per_mb=0.0015,
    ),
)
