# SPDX-License-Identifier: Apache-2.0
"""Stochastic rounding: the offsets of Philox, whatever runs them."""

import numpy as np
import pytest
from bit_identity import assert_engine_is_reference, assert_same_stored, engine
from reference import Fields, quantize
from value_kinds import values_of


def stochastic(format_: str, seed: int = 0, *, symmetric: bool = False) -> Fields:
    return Fields.of(format_, group_size=50, symmetric=symmetric, rounding="stochastic", seed=seed)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("format_", ["int8", "int4", "int2"])
@pytest.mark.parametrize(
    ("name", "seed"),
    [(None, 0), ("", 0), ("", 1), ("blocks.0.weight", 0), ("\u00e9\u4e2d", 2**64 - 1)],
)
def test_offsets_come_from_name_seed_and_index(
    name: str | None, seed: int, format_: str, *, symmetric: bool
) -> None:
    fields = stochastic(format_, seed, symmetric=symmetric)
    for columns in (1, 17, 130):
        w = values_of("normal", (3, columns))
        assert_engine_is_reference(w, fields, name=name)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("group_size", ["row", "tensor"])
def test_other_types_and_groups(group_size: int | str, dtype: str) -> None:
    for kind in ("uniform", "one_outlier", "denormal", "zero"):
        fields = Fields.of(
            "int4", group_size=group_size, rounding="stochastic", scale_dtype="float16"
        )
        assert_engine_is_reference(values_of(kind, (4, 61)).astype(dtype), fields, name="a")


def test_nan_and_inf_take_no_offset() -> None:
    w = values_of("normal", (3, 70))
    w[0, 3], w[1, 4], w[2, 5] = np.nan, np.inf, -np.inf
    for format_ in ("int8", "int4", "int2"):
        for symmetric in (False, True):
            fields = stochastic(format_, 5, symmetric=symmetric)
            q = engine(w, fields, name="n", nonfinite="saturate")
            assert_same_stored(q, quantize(w, fields, name="n"))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_tiles_count_on(threads: int) -> None:
    """Each index is the tensor's, not the tile's; and a row in pieces goes on counting."""
    wide = values_of("normal", (1, 140_003))
    expected = quantize(wide, Fields.of("int4", group_size="row", rounding="stochastic"), name="w")
    assert_same_stored(engine(wide, expected.fields, name="w", threads=threads), expected)


def test_the_mean_is_the_value() -> None:
    w = np.full((64, 256), 0.3, np.float32)
    w[:, 0] = 15
    fields = Fields.of("int4", group_size="row", packed=False, rounding="stochastic")
    codes = engine(w, fields, name="m").codes
    assert set(np.unique(codes[:, 1:])) == {0, 1}
    assert abs(codes[:, 1:].mean() - 0.3) < 0.02
