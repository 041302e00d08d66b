# SPDX-License-Identifier: Apache-2.0
"""What codes stand for, and how far that is from the original."""

import numpy as np
import pytest
import quarrow as qr
from bit_identity import AFFINE, ROWWISE, assert_same_values, engine, variant_name
from numpy.typing import NDArray
from reference import Fields, Stored, error_figures, quantize, stored_values
from reference.rounding import FLOAT_TYPES
from value_kinds import values_of

every_variant = pytest.mark.parametrize("fields", [*AFFINE, ROWWISE], ids=variant_name)


def any_scales(shape: tuple[int, int], scale_dtype: str) -> NDArray[np.float32]:
    """Return scales from the smallest normal number to the largest of a type."""
    limits = FLOAT_TYPES[scale_dtype]
    exponents = np.linspace(limits.least_exponent, np.log2(limits.largest) - 1e-3, shape[0])
    scales = np.repeat(2.0 ** exponents[:, np.newaxis], shape[1], axis=1)
    if scale_dtype == "float16":
        return scales.astype(np.float16).astype(np.float32)
    rounded = scales.astype(np.float32)
    if scale_dtype == "bfloat16":
        rounded = (rounded.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.maximum(rounded, np.float32(limits.smallest_normal))


@pytest.mark.parametrize("scale_dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("format_", ["int8", "int4", "int2"])
def test_every_code_with_any_scale(format_: str, scale_dtype: str, *, symmetric: bool) -> None:
    """Results run through the subnormals of float16 and past its largest number."""
    fields = Fields.of(
        format_, group_size="row", symmetric=symmetric, scale_dtype=scale_dtype, packed=False
    )
    row = np.arange(fields.lowest_code, fields.highest_code + 1)
    codes = np.tile(row, (97, 1)).astype(np.int8 if symmetric else np.uint8)
    scales = any_scales((97, 1), scale_dtype)
    zero_points = None
    if not symmetric:
        zero_points = (np.arange(97)[:, np.newaxis] * 5 % (1 << fields.bits)).astype(np.uint8)
    shown = scales.astype(np.float16) if scale_dtype == "float16" else scales
    format_value = qr.Format(
        format_, group_size="row", symmetric=symmetric, scale_dtype=scale_dtype, packed=False
    )
    q = qr.QuantizedTensor(codes, shown, zero_points, format_value, codes.shape)
    assert_same_values(q, Stored(fields, codes.shape, codes, scales, zero_points))


@every_variant
def test_error_figures(fields: Fields) -> None:
    for kind in ("normal", "one_outlier", "mixed_magnitudes"):
        w = values_of(kind, (3, 70))
        w[1, 5] = np.nan
        w[2, 69] = np.inf
        stored = quantize(w, fields)
        q = engine(w, fields, nonfinite="saturate")
        expected = error_figures(w, stored_values(stored))
        figures = q.error(w)
        assert figures.max_abs == expected.max_abs
        assert figures.rmse == pytest.approx(expected.rmse, rel=1e-12)
        assert figures.sqnr_db == pytest.approx(expected.sqnr_db, rel=1e-12)
        assert figures.cosine == pytest.approx(expected.cosine, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("shape", [(7,), (5, 3), (300, 1531), (2, 150_001)], ids=str)
def test_error_figures_of_any_shape(shape: tuple[int, ...], dtype: str) -> None:
    w = values_of("normal", shape).astype(dtype)
    fields = Fields.of("int4", group_size=32)
    expected = error_figures(w, stored_values(quantize(w, fields)))
    every = [engine(w, fields).error(w, threads=threads) for threads in (1, 2, 3, 4)]
    assert every == [every[0]] * 4
    assert list(every[0]) == pytest.approx(list(expected), rel=1e-12)


def test_no_error_and_no_signal() -> None:
    w = np.array([[0, 1, 15]], np.float32)
    figures = qr.quantize(w, "int4").error(w)
    assert figures.max_abs == figures.rmse == 0
    assert figures.sqnr_db == np.inf
    assert figures.cosine == pytest.approx(1)
    zeros = np.zeros((2, 3), np.float32)
    assert qr.quantize(zeros, "int4").error(zeros).cosine == 1
    assert np.isnan(qr.quantize(w, "int4").error(np.zeros_like(w)).sqnr_db)
