# SPDX-License-Identifier: Apache-2.0
"""From the values of a group to codes, before packing."""

import numpy as np
from numpy.typing import NDArray

from reference.fields import Fields
from reference.rounding import nearest_f32


def in_steps(x: NDArray[np.float32], scale: np.float32, fields: Fields) -> NDArray[np.float32]:
    """Return values as multiples of their scale, in float32."""
    if fields.format == "int8_rowwise":
        return x / scale
    inverse = nearest_f32(np.float32(1) / scale, fields.scale_dtype)
    return x * inverse


def unlimited_codes(
    x: NDArray[np.float32],
    scale: np.float32,
    zero_point: int,
    fields: Fields,
    offsets: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """Return codes before they are limited to what the bits can hold.

    With offsets (of stochastic rounding) the sum is rounded down, otherwise to nearest even.
    """
    steps = in_steps(x, scale, fields)
    rounded = np.rint(steps) if offsets is None else np.floor(steps + offsets)
    return rounded.astype(np.float64) + zero_point


def encode(
    x: NDArray[np.float32],
    scale: np.float32,
    zero_point: int,
    fields: Fields,
    offsets: NDArray[np.float32] | None = None,
) -> NDArray[np.int16]:
    """Return the codes: Inf takes the end codes, NaN the code of 0."""
    finite = np.where(np.isfinite(x), x, np.float32(0))
    codes = unlimited_codes(finite, scale, zero_point, fields, offsets)
    codes = np.clip(codes, fields.lowest_code, fields.highest_code)
    codes[np.isposinf(x)] = fields.highest_code
    codes[np.isneginf(x)] = fields.lowest_code
    codes[np.isnan(x)] = zero_point
    return codes.astype(np.int16)
