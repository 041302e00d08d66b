# SPDX-License-Identifier: Apache-2.0
"""Conversions between float types, rounded to nearest even.

A value is divided by the distance of its neighbours in the narrow type, rounded to a whole number
and multiplied back. In float64 the division and the product by a power of two are exact, so the
only rounding is the one that is meant.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FloatType:
    precision: int
    """Bits of the significand, the hidden one included."""
    least_exponent: int
    """Of the smallest normal number."""
    largest: float

    @property
    def smallest_normal(self) -> float:
        return 2.0**self.least_exponent


FLOAT_TYPES = {
    "float32": FloatType(24, -126, (2 - 2.0**-23) * 2.0**127),
    "float16": FloatType(11, -14, 65504.0),
    "bfloat16": FloatType(8, -126, (2 - 2.0**-7) * 2.0**127),
}


def nearest(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return the nearest values of a narrower type, beyond its largest an infinity."""
    narrow = FLOAT_TYPES[name]
    exponents = np.frexp(values)[1] - 1
    steps = np.ldexp(1.0, np.maximum(exponents, narrow.least_exponent) - (narrow.precision - 1))
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        rounded: NDArray[np.float64] = np.rint(values / steps) * steps
    overflows = np.abs(rounded) > narrow.largest
    rounded[overflows] = np.copysign(np.inf, rounded[overflows])
    return rounded


def nearest_f32(value: np.float32, name: str) -> np.float32:
    """Return one float32 rounded to a narrower type, as float32."""
    if name == "float32":
        return value
    return np.float32(nearest(np.array([value], np.float64), name)[0])


def widen(w: NDArray[Any]) -> NDArray[np.float32]:
    """Return an input tensor as float32; a float64 that is too large becomes an infinity."""
    if w.dtype.name == "bfloat16":
        return (w.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    if w.dtype == np.float64:
        return nearest(w, "float32").astype(np.float32)
    return w.astype(np.float32)


def narrow(values: NDArray[np.float32], name: str) -> NDArray[Any]:
    """Return float32 values in an output type; bfloat16 as the uint16 of its bits."""
    if name == "float32":
        return values
    rounded = nearest(values.astype(np.float64), name).astype(np.float32)
    if name == "float16":
        return rounded.astype(np.float16)
    return (rounded.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
