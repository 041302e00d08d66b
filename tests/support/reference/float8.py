# SPDX-License-Identifier: Apache-2.0
"""Floats of 8 bits: every code's value by its definition, and the nearest of them."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.format_reference import Fields, FormatReference, Parts
from reference.rounding import widen

# Bits of exponent and mantissa, and the largest value that is a number.
KINDS = {"fp8_e4m3": (4, 3, 448.0), "fp8_e5m2": (5, 2, 57344.0)}


def float8_values(format: str) -> NDArray[np.float64]:
    """Return what each of the 256 codes stands for."""
    exponent_bits, mantissa_bits, largest = KINDS[format]
    bias = 2 ** (exponent_bits - 1) - 1
    values = np.empty(256)
    for code in range(128):
        exponent, fraction = divmod(code, 2**mantissa_bits)
        whole = fraction + (2**mantissa_bits if exponent else 0)
        value = whole * 2.0 ** (max(exponent, 1) - bias - mantissa_bits)
        if value > largest:
            value = np.inf if exponent_bits == 5 and fraction == 0 else np.nan
        values[code], values[code + 128] = value, -value
    return values


def nearest_code(x: NDArray[np.float32], format: str) -> NDArray[np.uint8]:
    """Return the code nearest to each value, of two that are as near the even one; NaN is 0."""
    codes = float8_values(format)[:128]
    finite = codes[np.isfinite(codes)]
    numbers = np.where(np.isnan(x), np.float32(0), x).astype(np.float64)
    magnitude = np.minimum(np.abs(numbers), KINDS[format][2])
    below = np.searchsorted(finite, magnitude, side="right") - 1
    above = np.minimum(below + 1, len(finite) - 1)
    to_below, to_above = magnitude - finite[below], finite[above] - magnitude
    goes_up = (to_above < to_below) | ((to_above == to_below) & (below % 2 == 1))
    code = np.where(goes_up, above, below).astype(np.uint8)
    return code | np.where(np.signbit(x) & ~np.isnan(x), 128, 0).astype(np.uint8)


def quantize_float8(
    w: NDArray[Any], format: str, *, scaled: bool = True
) -> tuple[NDArray[np.uint8], np.float32 | None]:
    """Return codes of the shape of ``w``, and the scale of a scaled format."""
    x = widen(w)
    if not scaled:
        return nearest_code(x, format), None
    finite = np.abs(x[np.isfinite(x)])
    reach = np.float32(finite.max()) if finite.size else np.float32(0)
    if reach == 0:
        scale = np.float32(1)
    else:
        scale = np.maximum(reach / np.float32(KINDS[format][2]), np.float32(2.0**-126))
    inverse = np.float32(1) / scale
    with np.errstate(over="ignore", invalid="ignore"):
        return nearest_code(x * inverse, format), scale


def dequantize_float8(
    codes: NDArray[np.uint8], scale: np.float32 | None, format: str
) -> NDArray[np.float32]:
    """Return the values, in float32."""
    values = float8_values(format)[codes].astype(np.float32)
    return values if scale is None else values * scale


def _parts(format: str, w: NDArray[Any], fields: Fields, _name: str) -> Parts:
    codes, scale = quantize_float8(w, format, **fields)
    return {"codes": codes} if scale is None else {"codes": codes, "tensor_scale": np.array(scale)}


def _values(
    format: str, parts: Parts, shape: tuple[int, int], _fields: Fields
) -> NDArray[np.float32]:
    scale = parts.get("tensor_scale")
    codes = parts["codes"].view(np.uint8).reshape(shape)
    return dequantize_float8(codes, None if scale is None else np.float32(scale), format)


def _bound(
    format: str, x: NDArray[np.float64], parts: Parts, _fields: Fields
) -> NDArray[np.float64]:
    """Half of the last bit of the mantissa, or of the least subnormal; a cast is clamped."""
    _, mantissa_bits, largest = KINDS[format]
    scale = float(parts.get("tensor_scale", np.float32(1)))
    least = float8_values(format)[1] * scale
    beyond = np.maximum(np.abs(x) - largest * scale, 0)
    near = np.maximum(np.abs(x) * 2.0 ** -(mantissa_bits + 1), least / 2)
    bound: NDArray[np.float64] = (near + beyond) * (1 + 2.0**-20)
    return bound


REFERENCES = tuple(
    FormatReference(
        format,
        partial(_parts, format),
        partial(_values, format),
        partial(_bound, format),
        ({}, {"scaled": False}),
    )
    for format in KINDS
)
