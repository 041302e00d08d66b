# SPDX-License-Identifier: Apache-2.0
"""Every variant of every format on every kind of values: the bits are the reference's."""

from typing import Any

import numpy as np
import pytest
import quarrow as qr
from bit_identity import (
    AFFINE,
    ROWWISE,
    assert_engine_is_reference,
    assert_same_stored,
    assert_same_values,
    engine,
    repacked,
    variant_name,
)
from numpy.typing import NDArray
from reference import Fields, RangeOverflowError, quantize
from value_kinds import KINDS, values_of

# 70 columns: 2 groups of 32 and one of 6; the last bytes of packed rows are not full.
SHAPE = (3, 70)

every_variant = pytest.mark.parametrize("fields", [*AFFINE, ROWWISE], ids=variant_name)


@every_variant
def test_every_kind_of_values(fields: Fields) -> None:
    for kind in KINDS:
        w = values_of(kind, SHAPE)
        try:
            stored = quantize(w, fields)
        except RangeOverflowError:
            with pytest.raises(qr.InvalidInputError, match="max - min overflows"):
                engine(w, fields)
            continue
        for packed in {True, fields.bits == 8}:
            expected = repacked(stored, packed=packed)
            q = engine(w, expected.fields)
            assert_same_stored(q, expected)
            assert_same_values(q, expected)


def as_dtype(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return the values in a type, kept within its finite numbers."""
    if dtype == "bfloat16":
        ml_dtypes = pytest.importorskip("ml_dtypes")
        limit = float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)
        return values.clip(-limit, limit).astype(ml_dtypes.bfloat16)
    limit = min(float(np.finfo(dtype).max), float(np.finfo(np.float32).max))
    # Some bits that float32 does not have, so that a float64 is rounded on its way.
    wide = values.astype(np.float64) * (1 + 2.0**-30)
    return wide.clip(-limit, limit).astype(dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize(
    "fields",
    [
        *[each for each in AFFINE if each.group_size in (32, "row")],
        *[Fields.of(each, group_size="tensor") for each in ("int8", "int4", "int2")],
        ROWWISE,
    ],
    ids=variant_name,
)
def test_every_input_type(fields: Fields, dtype: str) -> None:
    for kind in KINDS:
        w = as_dtype(values_of(kind, SHAPE), dtype)
        try:
            stored = quantize(w, fields)
        except RangeOverflowError:
            with pytest.raises(qr.InvalidInputError):
                engine(w, fields)
            continue
        q = engine(w, fields)
        assert q.dtype_name == dtype
        assert_same_stored(q, stored)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("format_", ["int8", "int4", "int2", "int8_rowwise"])
def test_one_element_and_one_column(format_: str, *, packed: bool) -> None:
    for value in (0.0, -0.0, 1.0, -3.5, 2.0**-149, 3.4e38):
        fields = Fields.of(format_, packed=packed)
        assert_engine_is_reference(np.full((1, 1), value, np.float32), fields)
        assert_engine_is_reference(np.full((7, 1), value, np.float32), fields)
        assert_engine_is_reference(np.full(1, value, np.float32), fields)


@pytest.mark.parametrize("scale_dtype", ["float16", "bfloat16"])
def test_every_scale_of_16_bits_encodes_its_own_multiples(scale_dtype: str) -> None:
    """The reciprocal in scale_dtype is exact enough for each scale; bfloat16's up to 128 steps.

    Its 8 bits leave a relative error of up to 2^-8, half a step at 128 steps from zero. torchao's
    codes are the same, so that is the rule.
    """
    patterns = np.arange(1, 1 << 15, dtype=np.uint16)
    if scale_dtype == "float16":
        scales = patterns.view(np.float16).astype(np.float32)
        scales = scales[(scales >= 2.0**-14) & np.isfinite(scales)]
        exact = 255
    else:
        scales = (patterns.astype(np.uint32) << np.uint32(16)).view(np.float32)
        scales = scales[(scales >= 2.0**-126) & (scales < 2.0**120)]
        exact = 128
    codes = np.arange(256, dtype=np.float32)
    w = scales[:, np.newaxis] * codes
    q = qr.quantize(w, "int8", scale_dtype=scale_dtype)
    np.testing.assert_array_equal(q.scales.ravel().astype(np.float32), scales)
    differences = np.abs(q.codes - codes)
    assert differences[:, : exact + 1].max() == 0
    assert differences.max() <= 1


@pytest.mark.parametrize("bit_width", [8, 4, 2])
def test_lists_get_the_bits_of_one_scale_a_tensor(bit_width: int) -> None:
    w = values_of("one_outlier", (131,))
    fields = Fields.of(f"int{bit_width}", group_size="tensor", packed=False)
    stored = quantize(w, fields)
    result = qr.legacy.quantize({"a": w.tolist()}, bit_width=bit_width)["a"]
    assert result["codes"] == stored.codes.ravel().tolist()
    assert result["scales"] == stored.scales.ravel().tolist()
    assert stored.zero_points is not None
    assert result["zero_points"] == stored.zero_points.ravel().tolist()
