# SPDX-License-Identifier: Apache-2.0
"""All 65,536 patterns of the 16-bit types, and NaN and Inf wherever they may be."""

import re
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from bit_identity import ROWWISE, assert_engine_is_reference, assert_same_stored, engine
from numpy.typing import NDArray
from reference import Fields, quantize
from reference.rounding import widen

PATTERNS = np.arange(1 << 16, dtype=np.uint16)
NON_FINITE = {"float16": 2 * 1024, "bfloat16": 2 * 128}
SIXTEEN_BITS = list(NON_FINITE)


def typed(patterns: NDArray[np.uint16], dtype: str) -> NDArray[Any]:
    if dtype == "bfloat16":
        return patterns.view(pytest.importorskip("ml_dtypes").bfloat16)
    return patterns.view(dtype)


def finite_patterns(dtype: str) -> NDArray[np.uint16]:
    return PATTERNS[np.isfinite(widen(typed(PATTERNS, dtype)))]


def kind_of(value: np.float32) -> str:
    if np.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
@pytest.mark.parametrize("group_size", [16, "row"])
@pytest.mark.parametrize("format_", ["int8", "int4", "int2"])
def test_every_finite_pattern_as_a_value(format_: str, group_size: int | str, dtype: str) -> None:
    """In the order of the patterns: a group then has values of one magnitude and sign."""
    w = typed(finite_patterns(dtype), dtype).reshape(-1, 64)
    for symmetric in (False, True):
        fields = Fields.of(format_, group_size=group_size, symmetric=symmetric)
        assert_same_stored(engine(w, fields), quantize(w, fields))


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_every_finite_pattern_as_a_group(dtype: str) -> None:
    w = typed(finite_patterns(dtype), dtype).reshape(-1, 64)
    fields = Fields.of("int8", group_size=1)
    assert_same_stored(engine(w, fields), quantize(w, fields))


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
@pytest.mark.parametrize("fields", [ROWWISE, Fields.of("int8", symmetric=True)], ids=str)
def test_every_finite_pattern_beside_any_other(fields: Fields, dtype: str) -> None:
    shuffled = np.random.default_rng(5).permutation(finite_patterns(dtype))
    assert_engine_is_reference(typed(shuffled, dtype).reshape(-1, 32), fields)


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
@pytest.mark.parametrize("format_", ["int4", "int8_rowwise"])
def test_non_finite_patterns_are_counted(format_: str, dtype: str) -> None:
    w = typed(PATTERNS, dtype).reshape(-1, 128)
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize(w, format_)
    values = widen(w).ravel()
    first = int(np.flatnonzero(~np.isfinite(values))[0])
    assert caught.value.count == NON_FINITE[dtype]
    assert caught.value.index == first
    assert caught.value.kind == kind_of(values[first])


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_each_non_finite_pattern_is_found(dtype: str) -> None:
    patterns = PATTERNS[~np.isfinite(widen(typed(PATTERNS, dtype)))]
    assert patterns.size == NON_FINITE[dtype]
    for i, pattern in enumerate(patterns):
        bits = np.zeros((3, 41), np.uint16)
        at = i % bits.size
        bits.flat[at] = pattern
        w = typed(bits, dtype)
        with pytest.raises(qr.NonFiniteError) as caught:
            qr.quantize(w, "int8")
        assert (caught.value.index, caught.value.count) == (at, 1)
        assert caught.value.kind == kind_of(widen(w).flat[at])


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
@pytest.mark.parametrize(
    "fields",
    [
        Fields.of("int8", group_size=4),
        Fields.of("int8", group_size="row"),
        Fields.of("int4", group_size=16, symmetric=True),
        Fields.of("int2", group_size=16, packed=False),
        ROWWISE,
    ],
    ids=str,
)
def test_every_pattern_saturates(fields: Fields, dtype: str) -> None:
    """Each group of 16 has finite values and others, in the order of the patterns transposed."""
    w = typed(np.ascontiguousarray(PATTERNS.reshape(64, -1).T), dtype).reshape(-1, 16)
    if not fields.symmetric:
        w = w[np.ptp(np.nan_to_num(widen(w), posinf=0, neginf=0) / 4, axis=1) < 8e37]
    assert_same_stored(engine(w, fields, nonfinite="saturate"), quantize(w, fields))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("format_", ["int8", "int4", "int2", "int8_rowwise"])
def test_a_non_finite_value_at_any_column(format_: str, value: float, dtype: str) -> None:
    fields = ROWWISE if format_ == "int8_rowwise" else Fields.of(format_, group_size=20)
    finite = np.random.default_rng(6).normal(size=(2, 75)).astype(dtype)
    for at in range(finite.size):
        w = finite.copy()
        w.flat[at] = value
        with pytest.raises(qr.NonFiniteError) as caught:
            engine(w, fields)
        assert (caught.value.index, caught.value.count) == (at, 1)
        assert caught.value.kind == kind_of(np.float32(value))
        assert_same_stored(engine(w, fields, nonfinite="saturate"), quantize(w, fields))


@pytest.mark.parametrize("pattern", [0x7F800001, 0xFF800001, 0x7FBFFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_payload_is_nan(dtype: str, pattern: int) -> None:
    """Signalling ones too, and those of float64 with nothing in the bits that float32 has."""
    bits = np.array([pattern], np.uint32)
    if dtype == "float64":
        sign = np.uint64(pattern >> 31) << np.uint64(63)
        bits = np.array([sign | np.uint64(0x7FF0000000000000) | np.uint64(pattern & 0xFFFFF)])
    w = np.ones(30, dtype)
    w[7:8] = bits.view(dtype)
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize(w, "int4")
    assert (caught.value.index, caught.value.count, caught.value.kind) == (7, 1, "NaN")


@pytest.mark.parametrize("group_size", [4, "row", "tensor"])
@pytest.mark.parametrize("format_", ["int8", "int4", "int2", "int8_rowwise"])
def test_groups_without_a_finite_value_are_zero(format_: str, group_size: int | str) -> None:
    fields = ROWWISE if format_ == "int8_rowwise" else Fields.of(format_, group_size=group_size)
    w = np.array([[np.nan, np.inf, -np.inf, np.nan] * 4] * 2, np.float32)
    q = engine(w, fields, nonfinite="saturate")
    assert_same_stored(q, quantize(w, fields))
    smallest = np.float32(1e-30 if format_ == "int8_rowwise" else 2.0**-126)
    assert (q.scales == smallest).all()


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("group_size", [64, "row", "tensor"])
def test_the_first_of_many_tiles_is_named(group_size: int | str, threads: int) -> None:
    w = np.random.default_rng(7).normal(size=(300, 2000)).astype(np.float32)
    bad = {599_999: np.nan, 12_345: -np.inf, 12_346: np.nan, 300_000: np.inf}
    for at, value in bad.items():
        w.flat[at] = value
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize(w, "int8", group_size=group_size, threads=threads)
    assert (caught.value.index, caught.value.count) == (12_345, 4)
    assert caught.value.kind == "-Inf"
    fields = Fields.of("int8", group_size=group_size)
    q = engine(w, fields, nonfinite="saturate", threads=threads)
    assert_same_stored(q, quantize(w, fields))


@pytest.mark.parametrize("group_size", [90_000, "row", "tensor"])
@pytest.mark.parametrize("format_", ["int4", "int8_rowwise"])
def test_rows_of_several_tiles_count_once(format_: str, group_size: int | str) -> None:
    fields = ROWWISE if format_ == "int8_rowwise" else Fields.of(format_, group_size=group_size)
    w = np.random.default_rng(8).normal(size=(2, 200_001)).astype(np.float32)
    bad = [70_000, 131_072, 199_999, 200_002, 400_001]
    w.flat[bad] = np.nan
    for threads in (1, 2):
        with pytest.raises(qr.NonFiniteError) as caught:
            engine(w, fields, threads=threads)
        assert (caught.value.index, caught.value.count) == (bad[0], len(bad))
        q = engine(w, fields, threads=threads, nonfinite="saturate")
        assert_same_stored(q, quantize(w, fields))


@pytest.mark.parametrize(
    ("group_size", "start"), [(90_000, 290_001), ("row", 200_001), ("tensor", 0)]
)
def test_a_range_of_several_tiles_may_overflow(group_size: int | str, start: int) -> None:
    w = np.zeros((2, 200_001), np.float32)
    w[1, 95_000], w[1, 170_000] = 3e38, -3e38
    with pytest.raises(qr.InvalidInputError, match=f"index {start} ") as caught:
        qr.quantize(w, "int8", group_size=group_size)
    assert not isinstance(caught.value, qr.NonFiniteError)


# Half way between the largest float32 and the number that would follow it.
OVERFLOWS_FROM = 2.0**128 * (1 - 2.0**-25)


@pytest.mark.parametrize("format_", ["int8", "int4", "int2", "int8_rowwise"])
def test_a_float64_that_float32_cannot_hold(format_: str) -> None:
    fields = ROWWISE if format_ == "int8_rowwise" else Fields.of(format_, group_size=9)
    for value in (OVERFLOWS_FROM, 1e39, 1.7e308, -OVERFLOWS_FROM, -1e300):
        for at in range(37):
            w = np.linspace(-1, 1, 37)
            w[at] = value
            told = re.escape(f"the value {value} at index {at} ")
            with pytest.raises(qr.InvalidInputError, match=told) as caught:
                engine(w, fields)
            assert not isinstance(caught.value, qr.NonFiniteError)
            assert_same_stored(engine(w, fields, nonfinite="saturate"), quantize(w, fields))
    w = np.linspace(0, 1, 37)
    w[5] = np.nextafter(OVERFLOWS_FROM, 0)
    assert_same_stored(engine(w, fields), quantize(w, fields))


def test_a_range_that_overflows_names_its_group() -> None:
    w = np.ones((3, 40), np.float32)
    w[2, 9:11] = (3e38, -3e38)
    with pytest.raises(qr.InvalidInputError, match=r"layer 'x'.*88|row 2.*8") as caught:
        qr.quantize(w, "int8", group_size=8, name="x")
    assert not isinstance(caught.value, qr.NonFiniteError)
    with pytest.raises(qr.InvalidInputError):
        qr.quantize(w, "int8", group_size=8, nonfinite="saturate")
    fields = Fields.of("int8", group_size=8, symmetric=True)
    assert_engine_is_reference(w, fields)
