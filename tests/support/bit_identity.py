# SPDX-License-Identifier: Apache-2.0
"""Compare what the engine stores with the reference, bit for bit."""

from dataclasses import replace
from typing import Any

import numpy as np
import quarrow as qr
from numpy.typing import NDArray
from reference import Fields, Stored, dequantize, quantize
from reference.groups import matrix_shape
from reference.packing import pack, unpack

AFFINE = [
    Fields.of(format_, group_size=group_size, symmetric=symmetric, scale_dtype=scale_dtype)
    for format_ in ("int8", "int4", "int2")
    for symmetric in (False, True)
    for scale_dtype in ("float32", "float16", "bfloat16")
    for group_size in (1, 3, 32, "row", "tensor")
]
ROWWISE = Fields.of("int8_rowwise")


def variant_name(fields: Fields) -> str:
    """Return a test's name for a format."""
    if fields.format == "int8_rowwise":
        return fields.format
    kind = "symmetric" if fields.symmetric else "asymmetric"
    return f"{fields.format}-{kind}-{fields.scale_dtype}-{fields.group_size}"


def as_format(fields: Fields) -> qr.Format:
    """Return the package's value for a format."""
    if fields.format == "int8_rowwise":
        return qr.Format(fields.format)
    return qr.Format(
        fields.format,
        group_size=fields.group_size,
        symmetric=fields.symmetric,
        scale_dtype=fields.scale_dtype,
        packed=fields.packed,
        rounding=fields.rounding,
        seed=fields.seed,
    )


def engine(w: object, fields: Fields, **call: Any) -> qr.QuantizedTensor:
    """Quantize with the package; `call` is for threads, name and nonfinite."""
    return qr.quantize(w, as_format(fields), **call)


def repacked(stored: Stored, *, packed: bool) -> Stored:
    """Return the same with codes packed or one to a byte."""
    fields = replace(stored.fields, packed=packed)
    codes = unpack(stored.codes, matrix_shape(stored.shape)[1], stored.fields)
    return replace(stored, fields=fields, codes=pack(codes, fields))


def assert_same_array(ours: NDArray[Any], expected: NDArray[Any]) -> None:
    """Compare dtype, shape and every bit, the signs of zeros too."""
    assert ours.dtype == expected.dtype
    assert ours.shape == expected.shape
    ours, expected = np.ascontiguousarray(ours), np.ascontiguousarray(expected)
    if ours.tobytes() != expected.tobytes():
        np.testing.assert_array_equal(ours, expected)
        unsigned = f"u{expected.itemsize}"
        np.testing.assert_array_equal(ours.view(unsigned), expected.view(unsigned))


def assert_same_stored(q: qr.QuantizedTensor, stored: Stored) -> None:
    """Compare codes, scales and zero points."""
    assert q.shape == stored.shape
    assert_same_array(q.codes, stored.codes)
    half = stored.fields.scale_dtype == "float16"
    assert_same_array(q.scales, stored.scales.astype(np.float16) if half else stored.scales)
    if stored.zero_points is None:
        assert q.zero_points is None
    else:
        assert q.zero_points is not None
        assert_same_array(q.zero_points, stored.zero_points)


def assert_same_values(q: qr.QuantizedTensor, stored: Stored, **call: Any) -> None:
    """Compare what the codes stand for, in every output type."""
    for dtype in ("float32", "float16"):
        assert_same_array(q.dequantize(dtype, **call), dequantize(stored, dtype))
    brain = q.dequantize("bfloat16", **call).view(np.uint16)
    assert_same_array(brain, dequantize(stored, "bfloat16"))


def assert_engine_is_reference(w: NDArray[Any], fields: Fields, **call: Any) -> None:
    """Quantize with both and compare all that comes out."""
    q = engine(w, fields, **call)
    stored = quantize(w, fields, name=call.get("name") or "")
    assert_same_stored(q, stored)
    assert_same_values(q, stored)
