# SPDX-License-Identifier: Apache-2.0
"""int8, int4 and int2 against torchao, which is given the values as float32."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
import quarrow as qr
import torch
from numpy.typing import NDArray
from reference import Fields, RangeOverflowError, Stored, dequantize, quantize
from reference.groups import spread
from reference.packing import unpack
from reference.rounding import FLOAT_TYPES
from torchao_oracle import TorchaoResult, torchao_quantize
from value_kinds import KINDS, values_of

# 70 columns: 2 groups of 32 and one of 6; the last bytes of packed rows are not full.
SHAPE = (3, 70)
VARIANTS = [
    Fields.of(format_, group_size=group_size, symmetric=symmetric, scale_dtype=scale_dtype)
    for format_ in ("int8", "int4", "int2")
    for symmetric in (False, True)
    for scale_dtype in ("float32", "float16", "bfloat16")
    for group_size in (1, 3, 32, "row", "tensor")
]


def variant_name(fields: Fields) -> str:
    kind = "symmetric" if fields.symmetric else "asymmetric"
    return f"{fields.format}-{kind}-{fields.scale_dtype}-{fields.group_size}"


every_variant = pytest.mark.parametrize("fields", VARIANTS, ids=variant_name)


@cache
def expected(kind: str, fields: Fields) -> TorchaoResult:
    return torchao_quantize(torch.from_numpy(values_of(kind, SHAPE)), fields)


def engine(w: object, fields: Fields, *, packed: bool = True) -> qr.QuantizedTensor:
    return qr.quantize(
        w,
        fields.format,
        group_size=fields.group_size,
        symmetric=fields.symmetric,
        scale_dtype=fields.scale_dtype,
        packed=packed,
    )


def as_stored(q: qr.QuantizedTensor, fields: Fields) -> Stored:
    return Stored(fields, q.shape, q.codes, q.scales.astype(np.float32), q.zero_points)


def compared_groups(
    scales: NDArray[np.float32], fields: Fields, left_out: Counter[str]
) -> NDArray[np.bool_]:
    """Tell which groups torchao has an answer for that our rule shares.

    Its scales are not kept within the numbers of scale_dtype: below the smallest normal of float16
    they lose their precision bit by bit, and below 2^-16 the reciprocal overflows and takes every
    code with it. Our rule stops at the smallest normal.
    """
    unusable = (scales == 0) | ~np.isfinite(scales)
    subnormal = ~unusable & (scales < FLOAT_TYPES[fields.scale_dtype].smallest_normal)
    left_out["groups left out: torchao's own scale is 0, Inf or NaN"] += int(unusable.sum())
    left_out["groups left out: torchao's float16 scale is subnormal"] += int(subnormal.sum())
    compared: NDArray[np.bool_] = ~(unusable | subnormal)
    return compared


def assert_equal(
    stored: Stored, theirs: TorchaoResult, fields: Fields, left_out: Counter[str]
) -> None:
    compared = compared_groups(theirs.scales, fields, left_out)
    np.testing.assert_array_equal(stored.scales[compared], theirs.scales[compared])
    if fields.symmetric:
        assert stored.zero_points is None
    else:
        assert stored.zero_points is not None
        np.testing.assert_array_equal(stored.zero_points[compared], theirs.zero_points[compared])
    elements = spread(compared, theirs.codes.shape, fields.group_size)
    codes = unpack(stored.codes, theirs.codes.shape[1], fields)
    np.testing.assert_array_equal(codes[elements], theirs.codes[elements])


def bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return the bytes of each element, so that even the signs of zeros are compared."""
    matrix = np.ascontiguousarray(values)
    return matrix.view(np.uint8).reshape(*matrix.shape, matrix.itemsize)


@every_variant
def test_the_reference_is_torchao(fields: Fields, left_out: Counter[str]) -> None:
    for kind in KINDS:
        theirs = expected(kind, fields)
        try:
            stored = quantize(values_of(kind, SHAPE), fields)
        except RangeOverflowError:
            assert np.isinf(theirs.scales).any(), kind
            continue
        assert_equal(stored, theirs, fields, left_out)


@every_variant
def test_the_engine_is_torchao(fields: Fields, left_out: Counter[str]) -> None:
    for kind in KINDS:
        theirs = expected(kind, fields)
        try:
            q = engine(values_of(kind, SHAPE), fields)
        except qr.InvalidInputError:
            assert np.isinf(theirs.scales).any(), kind
            continue
        assert_equal(as_stored(q, fields), theirs, fields, left_out)


@every_variant
def test_dequantize_is_torchao(fields: Fields) -> None:
    kinds = ["normal", "one_outlier", "mixed_magnitudes", "denormal"]
    # Asymmetric, its range overflows. Symmetric, restored values do, to the same infinities.
    kinds += ["largest"] if fields.symmetric else []
    for kind in kinds:
        theirs = expected(kind, fields)
        q = engine(values_of(kind, SHAPE), fields)
        stored = as_stored(q, fields)
        same = spread(compared_groups(theirs.scales, fields, Counter()), SHAPE, fields.group_size)
        for dtype in ("float32", "float16", "bfloat16"):
            values = theirs.values[dtype]
            unsigned = torch.uint32 if dtype == "float32" else torch.uint16
            theirs_bits = bits(values.contiguous().view(unsigned).numpy())[same]
            np.testing.assert_array_equal(bits(q.dequantize(dtype))[same], theirs_bits)
            np.testing.assert_array_equal(bits(dequantize(stored, dtype))[same], theirs_bits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@every_variant
def test_other_inputs_are_quantized_as_float32(
    fields: Fields, dtype: torch.dtype, left_out: Counter[str]
) -> None:
    for kind in ("normal", "uniform", "one_outlier"):
        w = torch.from_numpy(values_of(kind, SHAPE).astype(np.float64) * 1.0000001).to(dtype)
        theirs = torchao_quantize(w.float(), fields)
        assert_equal(as_stored(engine(w, fields), fields), theirs, fields, left_out)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("format_", ["int4", "int2"])
def test_unpacked_codes_are_torchaos(format_: str, *, symmetric: bool) -> None:
    fields = Fields.of(format_, group_size=32, symmetric=symmetric)
    q = engine(values_of("normal", SHAPE), fields, packed=False)
    np.testing.assert_array_equal(q.codes, expected("normal", fields).codes)


@pytest.mark.parametrize("format_", ["int8", "int4", "int2"])
@pytest.mark.parametrize("columns", range(1, 132, 5))
def test_large_and_narrow_matrices(format_: str, columns: int, left_out: Counter[str]) -> None:
    for group_size in (7, 64, "row", "tensor"):
        fields = Fields.of(format_, group_size=group_size)
        x = values_of("normal", (200, columns), seed=columns)
        theirs = torchao_quantize(torch.from_numpy(x), fields)
        assert_equal(as_stored(engine(x, fields), fields), theirs, fields, left_out)


@pytest.mark.parametrize("group_size", [100_000, 131_071, "row", "tensor"])
@pytest.mark.parametrize("format_", ["int8", "int4", "int2"])
def test_groups_larger_than_a_tile(
    format_: str, group_size: int | str, left_out: Counter[str]
) -> None:
    for symmetric in (False, True):
        fields = Fields.of(format_, group_size=group_size, symmetric=symmetric)
        x = values_of("normal", (3, 300_001))
        theirs = torchao_quantize(torch.from_numpy(x), fields)
        assert_equal(as_stored(engine(x, fields), fields), theirs, fields, left_out)


@pytest.mark.parametrize(
    "fields", [v for v in VARIANTS if v.scale_dtype == "float16"], ids=variant_name
)
def test_where_the_rules_part(fields: Fields) -> None:
    """Below float16's smallest normal number torchao goes on, and our scale stays there."""
    for kind in ("half_subnormal_scales", "denormal", "zero"):
        x = values_of(kind, SHAPE)
        theirs = expected(kind, fields)
        low = theirs.scales < FLOAT_TYPES["float16"].smallest_normal
        q = engine(x, fields)
        assert (q.scales[low] == 2.0**-14).all()
        reference = quantize(x, fields)
        np.testing.assert_array_equal(q.codes, reference.codes)
        np.testing.assert_array_equal(q.scales, reference.scales)
