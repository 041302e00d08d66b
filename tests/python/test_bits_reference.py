# SPDX-License-Identifier: Apache-2.0
"""The reference itself, against published answers and worked examples."""

import numpy as np
import pytest
from reference import Fields, error_figures, quantize, stored_values
from reference.packing import pack, unpack
from reference.philox import philox4x32, random_key
from reference.rounding import nearest, widen


# The known answers published with the Random123 library.
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox(
    counter: tuple[int, int, int, int], key: tuple[int, int], words: tuple[int, int, int, int]
) -> None:
    assert philox4x32(counter, key) == words


def test_the_key_of_no_name_is_xxh3_of_nothing() -> None:
    assert random_key("", 0) == 0x2D06800538D394C2
    assert random_key("", 1) == 0x2D06800538D394C3


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (1 + 2.0**-11, "float16", 1.0),
        (1 + 3 * 2.0**-11, "float16", 1 + 2.0**-9),
        (65519.99, "float16", 65504.0),
        (65520.0, "float16", np.inf),
        (-65520.0, "float16", -np.inf),
        (2.0**-25, "float16", 0.0),
        (1.5 * 2.0**-25, "float16", 2.0**-24),
        (1 + 2.0**-8, "bfloat16", 1.0),
        (1 + 3 * 2.0**-8, "bfloat16", 1 + 2.0**-6),
        (2.0**-149, "bfloat16", 0.0),
        (1 + 2.0**-24, "float32", 1.0),
        (2.0**128 * (1 - 2.0**-25), "float32", np.inf),
        (2.0**128 * (1 - 2.0**-24) - 2.0**75, "float32", 2.0**128 * (1 - 2.0**-24)),
    ],
)
def test_rounding_to_nearest_even(value: float, name: str, expected: float) -> None:
    assert nearest(np.array([value]), name).tolist() == [expected]


def test_widening_equals_numpys() -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    half = patterns.view(np.float16)
    np.testing.assert_array_equal(widen(half), half.astype(np.float32))
    wide = np.random.default_rng(3).normal(size=1000) * 1e-40
    np.testing.assert_array_equal(widen(wide), wide.astype(np.float32))


def test_a_worked_example() -> None:
    # Range -1.5 to 6: scale 7.5 / 15, zero point 3, codes 2 x + 3 with ties to even.
    x = np.array([[-1.5, 6, 0.25, 0.75, 0]], np.float32)
    stored = quantize(x, Fields.of("int4", packed=False))
    assert stored.scales.tolist() == [[0.5]]
    assert stored.zero_points is not None
    assert stored.zero_points.tolist() == [[3]]
    assert stored.codes.tolist() == [[0, 15, 3, 5, 3]]
    assert stored_values(stored).tolist() == [[-1.5, 6, 0, 1, 0]]


@pytest.mark.parametrize(
    ("codes", "fields", "stored"),
    [
        ([1, 2, 15], Fields.of("int4"), [0x21, 0x0F]),
        ([-8, 7, -1], Fields.of("int4", symmetric=True), [0x78, 0x0F]),
        ([0, 1, 2, 3, 3], Fields.of("int2"), [0b11100100, 0b11]),
        ([-2, -1, 0, 1, -1], Fields.of("int2", symmetric=True), [0b01001110, 0b11]),
    ],
)
def test_packing(codes: list[int], fields: Fields, stored: list[int]) -> None:
    matrix = np.array([codes, codes[::-1]], np.int16)
    packed = pack(matrix, fields)
    assert packed[0].tolist() == stored
    np.testing.assert_array_equal(unpack(packed, len(codes), fields), matrix)


def test_error_figures_of_a_worked_example() -> None:
    original = np.array([3, 4, np.nan], np.float32)
    figures = error_figures(original, np.array([3, 5, 9], np.float32))
    assert figures.max_abs == 1
    assert figures.rmse == pytest.approx(0.5**0.5)
    assert figures.sqnr_db == pytest.approx(10 * np.log10(25))
    assert figures.cosine == pytest.approx(29 / (5 * 34**0.5))
