# SPDX-License-Identifier: Apache-2.0
"""ggml's block types of 32 elements, a block at a time and a byte at a time.

Every operation is one in float32, in ggml's order (quantize_row_*_ref without fused additions).
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.format_reference import Fields, FormatReference, Parts, UnrepresentableError
from reference.rounding import widen

BLOCK = 32
# Levels above the least code, and whether codes count from the least value of the block.
KINDS = {
    "q8_0": (127, False),
    "q4_0": (15, False),
    "q5_0": (31, False),
    "q4_1": (15, True),
    "q5_1": (31, True),
}
BYTES = {"q8_0": 34, "q4_0": 18, "q4_1": 20, "q5_0": 22, "q5_1": 24}

F32 = np.float32


class ScaleOverflowError(UnrepresentableError):
    """A scale, or a least value, that float16 cannot hold."""


def _half(value: np.float32) -> bytes:
    with np.errstate(over="ignore"):
        half = np.float16(value)
    if np.isinf(half):
        raise ScaleOverflowError
    return bytes(half.tobytes())


def _inverse(d: np.float32) -> np.float32:
    with np.errstate(over="ignore", divide="ignore"):
        inverse = F32(1) / d
    return inverse if np.isfinite(inverse) else F32(0)


def _nibbles(codes: list[int]) -> bytes:
    return bytes((codes[j] & 15) | (codes[j + 16] & 15) << 4 for j in range(16))


def _fifth_bits(codes: list[int]) -> bytes:
    return sum((code >> 4 & 1) << j for j, code in enumerate(codes)).to_bytes(4, "little")


def _q8_0(x: NDArray[np.float32]) -> bytes:
    d = np.abs(x).max() / F32(127)
    steps = x * _inverse(d)
    codes = np.trunc(np.abs(steps.astype(np.float64)) + 0.5) * np.sign(steps)
    return _half(d) + bytes(codes.astype(np.int8).tobytes())


def _around_middle(x: NDArray[np.float32], levels: int) -> bytes:
    magnitudes = np.abs(x)
    largest = x[int(np.argmax(magnitudes))] if magnitudes.any() else F32(0)
    middle = (levels + 1) // 2
    d = largest / F32(-middle)
    inverse = _inverse(d)
    if d != 0 and inverse == 0:  # 1 / d is Inf: x86 makes 0 of what is no number
        codes = [0] * BLOCK
    else:
        codes = [min(levels, int(step + F32(middle + 0.5))) for step in x * inverse]
    fifth = _fifth_bits(codes) if levels > 15 else b""
    return _half(d) + fifth + _nibbles(codes)


def _from_least(x: NDArray[np.float32], levels: int) -> bytes:
    least = x[int(np.argmin(x))]  # the first of several
    with np.errstate(over="ignore", invalid="ignore"):
        # Of two zeros the difference is +0.
        d = (x.max() - least + F32(0)) / F32(levels)
        steps = (x - least) * _inverse(d)
    if not np.isfinite(steps).all():
        raise ScaleOverflowError
    codes = [min(levels, int(step + F32(0.5))) for step in steps]
    fifth = _fifth_bits(codes) if levels > 15 else b""
    return _half(d) + _half(least) + fifth + _nibbles(codes)


def quantize_blocks(w: NDArray[Any], format: str) -> NDArray[np.uint8]:
    """Return the stored bytes [rows, bytes of a row] of a matrix of whole blocks.

    Raises
    ------
    ScaleOverflowError
        A block's scale is beyond float16.
    """
    levels, from_least = KINDS[format]
    rows = []
    for row in widen(w):
        blocks = row.reshape(-1, BLOCK)
        if format == "q8_0":
            stored = [_q8_0(block) for block in blocks]
        elif from_least:
            stored = [_from_least(block, levels) for block in blocks]
        else:
            stored = [_around_middle(block, levels) for block in blocks]
        rows.append(np.frombuffer(b"".join(stored), np.uint8))
    return np.array(rows, np.uint8).reshape(w.shape[0], w.shape[1] // BLOCK * BYTES[format])


def _codes(block: bytes, format: str) -> NDArray[np.float32]:
    if format == "q8_0":
        return np.frombuffer(block[2:], np.int8).astype(F32)
    nibbles = [byte & 15 for byte in block[-16:]] + [byte >> 4 for byte in block[-16:]]
    if KINDS[format][0] > 15:
        bits = int.from_bytes(block[-20:-16], "little")
        nibbles = [code | (bits >> j & 1) << 4 for j, code in enumerate(nibbles)]
    return np.array(nibbles, F32)


def dequantize_blocks(stored: NDArray[np.uint8], format: str) -> NDArray[np.float32]:
    """Return the values [rows, columns], in float32."""
    levels, from_least = KINDS[format]
    rows = []
    for row in stored:
        values = []
        for block in row.reshape(-1, BYTES[format]):
            data = block.tobytes()
            d = np.frombuffer(data[:2], np.float16)[0].astype(F32)
            codes = _codes(data, format)
            if from_least:
                values.append(codes * d + np.frombuffer(data[2:4], np.float16)[0].astype(F32))
            elif format == "q8_0":
                values.append(codes * d)
            else:
                values.append((codes - F32((levels + 1) // 2)) * d)
        rows.append(np.concatenate(values) if values else np.empty(0, F32))
    columns = stored.shape[1] // BYTES[format] * BLOCK
    return np.array(rows, F32).reshape(stored.shape[0], columns)


def _parts(format: str, w: NDArray[Any], _fields: Fields, _name: str) -> Parts:
    return {"codes": quantize_blocks(w, format)}


def _values(
    format: str, parts: Parts, _shape: tuple[int, int], _fields: Fields
) -> NDArray[np.float32]:
    return dequantize_blocks(parts["codes"], format)


def _bound(
    format: str, x: NDArray[np.float64], _stored: Parts, _fields: Fields
) -> NDArray[np.float64]:
    """A step of the block: the code farthest from the middle is clamped by up to one."""
    blocks = x.reshape(len(x), -1, BLOCK)
    levels, from_least = KINDS[format]
    if from_least:
        reach = blocks.max(axis=2) - blocks.min(axis=2)
        steps = reach / levels
    else:
        reach = np.abs(blocks).max(axis=2)
        steps = reach / (levels if format == "q8_0" else (levels + 1) // 2)
    # Scale and least value are float16, subnormals too.
    steps = steps + (levels + 1) * (reach * 2.0**-11 / levels + 2.0**-25)
    steps = steps + np.abs(blocks).max(axis=2) * 2.0**-11
    return np.repeat(steps, BLOCK, axis=1)


REFERENCES = tuple(
    FormatReference(
        format,
        partial(_parts, format),
        partial(_values, format),
        partial(_bound, format),
        block=BLOCK,
        most=60_000.0,
        saturates=False,
    )
    for format in KINDS
)
