# SPDX-License-Identifier: Apache-2.0
"""From the values of a group to its scale and zero point."""

import numpy as np
from numpy.typing import NDArray

from reference.fields import Fields
from reference.format_reference import UnrepresentableError
from reference.rounding import FLOAT_TYPES, nearest_f32

SMALLEST_SCALE = np.float32(2.0**-126)


class RangeOverflowError(UnrepresentableError):
    """The largest minus the smallest value of a group is not a float32."""


def finite_range(x: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Return the smallest and largest of 0 and the finite values."""
    finite = x[np.isfinite(x)]
    zero = np.float32(0)
    return np.min(finite, initial=zero), np.max(finite, initial=zero)


def affine_scale(x: NDArray[np.float32], fields: Fields) -> tuple[np.float32, int]:
    """Return scale and zero point by torchao's order of operations."""
    low, high = finite_range(x)
    steps = np.float32((1 << fields.bits) - 1)
    if fields.symmetric:
        wide = np.maximum(-low, high) / (steps / np.float32(2))
    else:
        with np.errstate(over="ignore"):
            width = high - low
        if np.isinf(width):
            raise RangeOverflowError
        wide = width / steps
    wide = np.maximum(wide, SMALLEST_SCALE)
    zero_point = 0
    if not fields.symmetric:
        zero_point = int(np.clip(-np.rint(low / wide), 0, steps))
    return storable_scale(wide, fields.scale_dtype), zero_point


def storable_scale(scale: np.float32, scale_dtype: str) -> np.float32:
    """Return the scale in its type, kept between the smallest normal and the largest number."""
    limits = FLOAT_TYPES[scale_dtype]
    rounded = float(nearest_f32(scale, scale_dtype))
    return np.float32(min(max(rounded, limits.smallest_normal), limits.largest))


def rowwise_scale(x: NDArray[np.float32]) -> np.float32:
    """Return ComfyUI's scale of one row."""
    low, high = finite_range(x)
    largest = np.maximum(-low, high)
    return max(largest / np.float32(127), np.float32(1e-30))
