# SPDX-License-Identifier: Apache-2.0
"""Libraries that need no torch: numpy, ggml (C), gguf-py, onnxruntime, mlx."""

import ctypes
import functools
import importlib
import importlib.metadata
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.array_peers.peer import (
    Head,
    Peer,
    Way,
    restore_affine,
    restore_packed,
    restore_rowwise,
    steps,
    unpacked,
)
from benchmarks.fixtures import Array
from benchmarks.verification import require

# The number of a type in ggml.h.
GGML_TYPES = {"q4_0": 2, "q8_0": 8, "q4_K": 12, "q6_K": 14, "mxfp4": 39, "nvfp4": 40}


def _numpy_affine(w: Array, bits: int) -> Any:
    """Quantize rows as one writes it in numpy, with temporaries used again; 4 bits are packed."""
    last = np.float32((1 << bits) - 1)
    low = np.minimum(w.min(-1, keepdims=True), 0)
    high = np.maximum(w.max(-1, keepdims=True), 0)
    scales = np.maximum((high - low) / last, np.float32(2.0**-126))
    zero_points = np.clip(-np.rint(low / scales), 0, last)
    rounded = w * (1 / scales)
    np.rint(rounded, out=rounded)
    rounded += zero_points
    np.clip(rounded, 0, last, out=rounded)
    codes = rounded.astype(np.uint8)
    if bits == 4:
        packed = codes[:, 1::2] << 4
        packed |= codes[:, ::2]
        codes = packed
    return codes, scales, zero_points


def _numpy_rowwise(w: Array) -> Any:
    scales = np.maximum(np.abs(w).max(1, keepdims=True) / np.float32(127), np.float32(1e-30))
    rounded = w / scales
    np.rint(rounded, out=rounded)
    np.clip(rounded, -128, 127, out=rounded)
    return rounded.astype(np.int8), scales


@functools.cache
def _ggml() -> ctypes.CDLL:
    """Load the libggml-base that a wheel has brought along."""
    files = importlib.metadata.files("pywhispercpp") or []
    found = [each for each in files if each.name.startswith("libggml-base")]
    if not found:
        message = "there is no libggml-base in pywhispercpp"
        raise ImportError(message)
    library = ctypes.CDLL(str(found[0].locate()))
    library.ggml_type_name.restype = ctypes.c_char_p
    library.ggml_row_size.restype = ctypes.c_size_t
    library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    arguments: Any = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    library.ggml_quantize_chunk.argtypes = arguments
    return library


def _ggml_way(w: Array, name: str) -> Way:
    library, number = _ggml(), GGML_TYPES[name]
    told = library.ggml_type_name(number)
    require(told == name.encode(), f"type {number} is {told!r} here and not {name}")
    rows, columns = w.shape
    out = np.zeros((rows, library.ggml_row_size(number, columns)), np.uint8)
    library.ggml_quantize_init(number)
    source, target = w.ctypes.data, out.ctypes.data

    def call() -> object:
        # A function of C called through ctypes runs without the lock.
        return out, library.ggml_quantize_chunk(number, source, target, 0, rows, columns, None)

    def restore(result: Any, head: Head) -> Any:
        require(result[1] == out.nbytes, f"{result[1]} bytes instead of {out.nbytes}")
        restore_row = getattr(library, f"dequantize_row_{name}")
        restore_row.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        restore_row.restype = None
        first = head(out)
        restored = np.empty((len(first), columns), np.float32)
        restore_row(first.ctypes.data, restored.ctypes.data, restored.size)
        return restored

    return call, restore


def _gguf(w: Array, name: str) -> Way:
    library = importlib.import_module("gguf")
    kind = library.GGMLQuantizationType[name.upper()]
    call = partial(library.quantize, w, kind)
    return call, lambda result, head: library.dequantize(head(result), kind)


def _onnxruntime(w: Array) -> Way:
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
        return codes, scales, zero_points

    def restore(result: Any, head: Head) -> Any:
        packed, steps_, points = (head(each) for each in result)
        points = unpacked(points.reshape(-1, 1)).reshape(-1, 1).astype(np.float32)
        return (unpacked(packed.reshape(-1, 64)) - points) * steps_.reshape(-1, 1)

    return call, restore


def _mlx(w: Array) -> Way:
    mlx = importlib.import_module("mlx.core")
    how = {"group_size": 128, "bits": 4, "stream": mlx.cpu}
    x = mlx.array(w)
    mlx.eval(x)

    def call() -> object:
        result = mlx.quantize(x, **how)
        mlx.eval(result)
        return result

    return call, lambda result, head: np.array(mlx.dequantize(*map(head, result), **how))


# Values that share a scale, bits, steps that values may be off. 6 and 4 bit K formats search for
# scales, mxfp4 and nvfp4 cut off and have gaps of 2 below 6.
_GGML = (
    ("q4_0", "4 bit in blocks of 32", (32, 4, 1.1), 18 / 32, 0.0005),
    ("q8_0", "8 bit in blocks of 32", (32, 8, 0.6), 34 / 32, 0.0007),
    ("q4_K", "4 bit in super-blocks of 256, searched", (32, 4, 2.0), 144 / 256, 0.012),
    ("q6_K", "6 bit in super-blocks of 256, searched", (16, 6, 2.0), 210 / 256, 0.006),
    ("mxfp4", "fp4 in blocks of 32", (32, 4, 2.0), 17 / 32, 0.002),
    ("nvfp4", "fp4 in blocks of 16", (16, 4, 2.5), 36 / 64, 0.002),
)
_GGUF = (("q4_0", 4, 18 / 32, 0.002), ("q8_0", 8, 34 / 32, 0.0035))
# fmt: off
PEERS = (
    *(Peer(f"ggml_{name.lower()}", "pywhispercpp", f"ggml {name.upper()}", f"in C: {words}",
           name.lower(), partial(_ggml_way, name=name), steps(*by, symmetric=True), stored, seconds,
           split=True)
      for name, words, by, stored, seconds in _GGML),
    *(Peer(f"gguf_{name}", "gguf", f"gguf-py {name.upper()}", "blocks of 32", name,
           partial(_gguf, name=name), steps(32, bits, 1.1, symmetric=True), stored, seconds,
           split=True, one_thread=True)
      for name, bits, stored, seconds in _GGUF),
    Peer("onnxruntime_int4", "onnxruntime", "onnxruntime",
         "MatMul4Bits in blocks of 128 of the transposed weight", "int4", _onnxruntime,
         steps(128, 4, 0.6), 0.5, 0.003, threads=qr.info()["cpus"], sizes=(4, 40), charted=False),
    Peer("mlx_int4", "mlx", "mlx", "on the CPU, int4 in groups of 128, float scale and bias",
         # Its scale is changed so that the value of the larger end has a code of its own.
         "int4", _mlx, steps(128, 4, 1.1), 0.5, 0.0015, threads=1),
    Peer("numpy_int4", "numpy", "numpy", "int4 in groups of 128, packed", "int4",
         lambda w: (lambda: _numpy_affine(w.reshape(-1, 128), 4), restore_packed),
         steps(128, 4, 0.501), 0.5, 0.003, split=True, one_thread=True),
    Peer("numpy_int8", "numpy", "numpy", "int8 per row", "int8",
         lambda w: (partial(_numpy_affine, w, 8), restore_affine), steps(0, 8, 0.51), 1, 0.0015,
         split=True, one_thread=True),
    Peer("numpy_int8_rowwise", "numpy", "numpy", "int8_rowwise", "int8_rowwise",
         lambda w: (partial(_numpy_rowwise, w), restore_rowwise), steps(0, 8, 0.51, symmetric=True),
         1, 0.001, split=True, one_thread=True),
)
# fmt: on
