# SPDX-License-Identifier: Apache-2.0
"""Many tiles, groups larger than a tile, any number of threads: the bits are the reference's."""

import numpy as np
import pytest
import quarrow as qr
from bit_identity import ROWWISE, assert_same_stored, assert_same_values, engine
from numpy.typing import NDArray
from reference import Fields, Stored, quantize
from value_kinds import values_of

THREADS = [1, 2, 3, 4]
FORMATS = ["int8", "int4", "int2"]


def outlier_in(w: NDArray[np.float32], flat: int, value: float) -> NDArray[np.float32]:
    w.flat[flat] = value
    return w


def assert_same_for_any_threads(w: NDArray[np.generic], stored: Stored) -> None:
    for threads in THREADS:
        q = engine(w, stored.fields, threads=threads)
        assert_same_stored(q, stored)
        assert_same_values(q, stored, threads=threads)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("group_size", [700, "row", "tensor"])
@pytest.mark.parametrize("format_", FORMATS)
def test_many_tiles(format_: str, group_size: int | str, *, symmetric: bool) -> None:
    fields = Fields.of(format_, group_size=group_size, symmetric=symmetric)
    w = values_of("normal", (350, 1531))
    assert_same_for_any_threads(w, quantize(w, fields))


def test_many_tiles_of_int8_rowwise() -> None:
    w = values_of("one_outlier", (350, 1531))
    assert_same_for_any_threads(w, quantize(w, ROWWISE))


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("group_size", [65_536, 65_537, 140_001, "row", "tensor"])
@pytest.mark.parametrize("format_", FORMATS)
def test_groups_larger_than_a_tile(format_: str, group_size: int | str, dtype: str) -> None:
    """The range of a group is that of all its tiles: its ends lie in the last one."""
    columns = 300_003
    w = values_of("normal", (2, columns))
    w = outlier_in(w, columns - 1, 77.0)
    w = outlier_in(w, 2 * columns - 2, -99.0).astype(dtype)
    for packed in (True, False):
        fields = Fields.of(format_, group_size=group_size, packed=packed)
        assert_same_for_any_threads(w, quantize(w, fields))


@pytest.mark.parametrize("shape", [(2, 300_003), (300_003,), (3, 101, 997)], ids=str)
def test_rows_larger_than_a_tile_of_int8_rowwise(shape: tuple[int, ...]) -> None:
    w = outlier_in(values_of("normal", shape), -1, 50.0)
    assert_same_for_any_threads(w, quantize(w, ROWWISE))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_tall_tensor_of_short_rows(format_: str) -> None:
    w = outlier_in(values_of("normal", (120_001, 3)), -1, 50.0)
    fields = Fields.of(format_, group_size="tensor")
    assert_same_for_any_threads(w, quantize(w, fields))


def test_the_range_of_many_tiles_is_that_of_the_rows_alone() -> None:
    w = values_of("normal", (3000, 200))
    w[1::2] *= 100
    expected = qr.quantize(w[::2].copy(), "int8", group_size="tensor")
    assert qr.quantize(w[::2], "int8", group_size="tensor") == expected


def test_codes_of_a_state_dict_beyond_the_caches() -> None:
    w = np.resize(np.linspace(-1, 1, 1021, dtype="f2"), (34_000, 1024))
    made = qr.quantize_state_dict({"a.weight": w}, "int8_rowwise")
    small = qr.quantize_batch({"a": w[:997], "b": w[-997:]}, "int8_rowwise")
    assert w.nbytes > 64 << 20
    np.testing.assert_array_equal(made["a.weight"][:997], small["a"].codes)
    np.testing.assert_array_equal(made["a.weight"][-997:], small["b"].codes)
