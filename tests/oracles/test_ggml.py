# SPDX-License-Identifier: Apache-2.0
"""q8_0, q4_0, q4_1, q5_0 and q5_1 against ggml's C, and gguf-py.

The library is the libggml-base of a wheel, compiled without fused additions; gguf-py 0.19 rounds as
it does (older ones rounded q4_0 and q5_0 as a build with them).
"""

import ctypes
import functools
import importlib.metadata
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray
from reference import dequantize_blocks, quantize_blocks

# The number of a type in ggml.h.
TYPES = {"q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8}
BLOCK_BYTES = {"q8_0": 34, "q4_0": 18, "q4_1": 20, "q5_0": 22, "q5_1": 24}
COLUMNS = 4096
ROWS = 8192  # with the columns 1,048,576 blocks
DTYPES = [np.float32, np.float16, ml_dtypes.bfloat16]

Bytes = NDArray[np.uint8]


@functools.cache
def ggml() -> ctypes.CDLL:
    files = importlib.metadata.files("pywhispercpp") or []
    library = next(each for each in files if each.name.startswith("libggml-base"))
    loaded = ctypes.CDLL(str(library.locate()))
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    loaded.ggml_quantize_chunk.restype = ctypes.c_size_t
    arguments: Any = [ctypes.c_int, pointer, pointer, count, count, count, pointer]
    loaded.ggml_quantize_chunk.argtypes = arguments
    return loaded


def theirs(w: NDArray[np.float32], format_: str) -> Bytes:
    rows, columns = w.shape
    out = np.zeros((rows, columns // 32 * BLOCK_BYTES[format_]), np.uint8)
    number = TYPES[format_]
    ggml().ggml_quantize_init(number)
    made = ggml().ggml_quantize_chunk(
        number, w.ctypes.data, out.ctypes.data, 0, rows, columns, None
    )
    assert made == out.nbytes
    return out


def values(kind: str, rows: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(11)
    w = generator.normal(0, 0.02, (rows, COLUMNS)).astype(np.float32)
    match kind:
        case "zeros":
            w = np.where(generator.random(w.shape) < 0.5, np.float32(0), np.float32(-0.0))
        case "constant":
            w = np.repeat(w[:, ::32], 32, axis=1)
        case "signs":
            w = np.copysign(np.float32(0.5), w)
        case "grid":
            w = np.round(w * 100) / np.float32(64)
        case "denormal":
            w = w * np.float32(2.0**-130)
        case "subnormal_scales":
            w = w * np.float32(2.0**-17)
        case "extreme":
            w = w * np.float32(5e5)
        case "one_sided":
            w = np.abs(w) + np.float32(1)
        case "sparse":
            w = np.where(generator.random(w.shape) < 0.9, np.float32(0), w)
    return np.ascontiguousarray(w, np.float32)


KINDS = [
    "normal",
    "zeros",
    "constant",
    "signs",
    "grid",
    "denormal",
    "subnormal_scales",
    "extreme",
    "one_sided",
    "sparse",
]


def ours(w: NDArray[Any], format_: str) -> Bytes:
    return qr.quantize(w, format_).codes


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("format_", TYPES)
def test_a_million_blocks_are_ggmls(format_: str, dtype: Any) -> None:
    w = values("normal", ROWS).astype(dtype)
    np.testing.assert_array_equal(ours(w, format_), theirs(w.astype(np.float32), format_))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("format_", TYPES)
def test_blocks_of_every_kind_are_ggmls(format_: str, kind: str, dtype: Any) -> None:
    w = values(kind, 64).astype(dtype)
    np.testing.assert_array_equal(ours(w, format_), theirs(w.astype(np.float32), format_))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format_", TYPES)
def test_the_reference_is_ggml(format_: str, kind: str) -> None:
    w = values(kind, 2)
    np.testing.assert_array_equal(quantize_blocks(w, format_), theirs(w, format_))


@pytest.mark.parametrize("format_", TYPES)
def test_a_million_blocks_are_those_of_gguf_py(format_: str) -> None:
    w = values("normal", ROWS).astype(ml_dtypes.bfloat16).astype(np.float32)
    expected = gguf.quantize(w, gguf.GGMLQuantizationType[format_.upper()])
    np.testing.assert_array_equal(ours(w, format_), expected)


@pytest.mark.parametrize("kind", ["normal", "zeros", "extreme", "subnormal_scales", "one_sided"])
@pytest.mark.parametrize("format_", TYPES)
def test_gguf_py_restores_the_same_values(format_: str, kind: str) -> None:
    q = qr.quantize(values(kind, 64), format_)
    restored = q.dequantize()
    expected = gguf.dequantize(q.codes, gguf.GGMLQuantizationType[format_.upper()])
    np.testing.assert_array_equal(restored.view(np.uint32), expected.view(np.uint32))
    slow = dequantize_blocks(q.codes, format_)
    np.testing.assert_array_equal(restored.view(np.uint32), slow.view(np.uint32))
