# SPDX-License-Identifier: Apache-2.0
"""Whole tensors."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.encoding import encode
from reference.fields import Fields
from reference.format_reference import FormatReference, Parts
from reference.groups import as_matrix, each_group, matrix_shape, scales_shape, spread
from reference.packing import pack, unpack
from reference.philox import random_key, uniform_offsets
from reference.ranges import affine_scale, rowwise_scale
from reference.rounding import narrow, widen
from reference.stored import Stored


def quantize(w: NDArray[Any], fields: Fields, name: str = "") -> Stored:
    """Return the stored form; NaN and Inf are saturated."""
    x = widen(as_matrix(w))
    shape = x.shape
    scales = np.empty(scales_shape(shape, fields.group_size), np.float32)
    zero_points = np.zeros(scales.shape, np.uint8)
    codes = np.empty(shape, np.int16)
    offsets = None
    if fields.rounding == "stochastic":
        offsets = uniform_offsets(random_key(name, fields.seed), 0, x.size).reshape(shape)
    for at, where in each_group(shape, fields.group_size):
        group = x[where]
        if fields.format == "int8_rowwise":
            scale, zero_point = rowwise_scale(group), 0
        else:
            scale, zero_point = affine_scale(group, fields)
        scales[at], zero_points[at] = scale, zero_point
        drawn = None if offsets is None else offsets[where]
        codes[where] = encode(group, scale, zero_point, fields, drawn)
    return Stored(
        fields, w.shape, pack(codes, fields), scales, None if fields.symmetric else zero_points
    )


def stored_values(stored: Stored) -> NDArray[np.float32]:
    """Return what the codes stand for, as a float32 matrix."""
    shape = matrix_shape(stored.shape)
    codes = unpack(stored.codes, shape[1], stored.fields)
    values = np.empty(shape, np.float32)
    for at, where in each_group(shape, stored.fields.group_size):
        zero_point = 0 if stored.zero_points is None else int(stored.zero_points[at])
        with np.errstate(over="ignore"):
            values[where] = (codes[where] - zero_point).astype(np.float32) * stored.scales[at]
    return values


def dequantize(stored: Stored, dtype: str = "float32") -> NDArray[Any]:
    """Return the values in a type, in the tensor's shape; bfloat16 as uint16."""
    return narrow(stored_values(stored), dtype).reshape(stored.shape)


def _fields(format: str, fields: Mapping[str, Any]) -> Fields:
    return Fields.of(format, **fields)


def _parts(format: str, w: NDArray[Any], fields: Mapping[str, Any], name: str) -> Parts:
    stored = quantize(w, _fields(format, fields), name)
    half = stored.fields.scale_dtype == "float16"
    parts = {"codes": stored.codes, "scales": stored.scales.astype(np.float16 if half else "f4")}
    return parts if stored.zero_points is None else {**parts, "zero_points": stored.zero_points}


def _values(
    format: str, parts: Parts, shape: tuple[int, int], fields: Mapping[str, Any]
) -> NDArray[np.float32]:
    scales = parts["scales"].astype(np.float32)
    stored = Stored(
        _fields(format, fields), shape, parts["codes"], scales, parts.get("zero_points")
    )
    return stored_values(stored)


def _bound(
    format: str, x: NDArray[np.float64], parts: Parts, fields: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Half a step; scales of 16 bits are rounded, by up to 2^-8 at each end of the range."""
    of = _fields(format, fields)
    scales = spread(parts["scales"].astype(np.float64), x.shape, of.group_size)
    rounded = 0 if of.scale_dtype == "float32" else 2.0**-8 * (1 << of.bits)
    half = 1 if of.rounding == "stochastic" else 0.5
    return scales * (half + 2.0**-10 + rounded)


def _reference(format: str, *variants: Mapping[str, Any]) -> FormatReference:
    return FormatReference(
        format,
        partial(_parts, format),
        partial(_values, format),
        partial(_bound, format),
        variants,
        in_files=lambda fields: fields.get("group_size") != "tensor",
    )


REFERENCES = (
    _reference("int8", {}, {"symmetric": True, "group_size": "tensor"}),
    _reference(
        "int4",
        {},
        {"symmetric": True, "group_size": 32},
        {"scale_dtype": "float16", "group_size": "row"},
        {"rounding": "stochastic", "seed": 9},
    ),
    _reference(
        "int2",
        {"scale_dtype": "bfloat16", "group_size": 64},
        {"packed": False, "group_size": 70},
    ),
    _reference("int8_rowwise", {}),
)
