# SPDX-License-Identifier: Apache-2.0
"""Rows of a few columns, which are encoded as one run, get the reference's bits."""

import numpy as np
import pytest
import quarrow as qr
from bit_identity import assert_same_stored, engine
from reference import Fields, quantize
from value_kinds import values_of

COLUMNS = [1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 24, 32, 33, 48, 63, 64, 65]
# Blocks hold up to 64 rows; tiles far more.
ROWS = [1, 2, 63, 64, 65, 200]
VARIANTS = [
    Fields.of("int8"),
    Fields.of("int8", symmetric=True, group_size="tensor"),
    Fields.of("int4"),
    Fields.of("int4", symmetric=True, scale_dtype="float16"),
    Fields.of("int4", packed=False, scale_dtype="bfloat16"),
    Fields.of("int2"),
    Fields.of("int2", symmetric=True),
    Fields.of("int8_rowwise"),
]


@pytest.mark.parametrize("fields", VARIANTS, ids=lambda f: f"{f.format}-{f.symmetric}-{f.packed}")
@pytest.mark.parametrize("kind", ["normal", "mixed_magnitudes", "denormal", "one_outlier"])
def test_narrow_rows(kind: str, fields: Fields) -> None:
    for cols in COLUMNS:
        for rows in ROWS:
            w = values_of(kind, (rows, cols))
            assert_same_stored(engine(w, fields), quantize(w, fields))
    for dtype in (np.float16, np.float64):
        w16 = values_of("normal", (150, 16)).astype(dtype)
        assert_same_stored(engine(w16, fields), quantize(w16, fields))


@pytest.mark.parametrize("fields", VARIANTS, ids=lambda f: f"{f.format}-{f.symmetric}-{f.packed}")
@pytest.mark.parametrize("cols", [2, 8, 16, 24])
def test_rows_that_saturate_among_those_that_do_not(cols: int, fields: Fields) -> None:
    """One block goes another way than the blocks before and behind it."""
    for damaged in ([0], [70], [199], [63, 64], [10, 140]):
        w = values_of("normal", (200, cols)).copy()
        w[damaged, cols // 2] = np.nan
        w[damaged, 0] = np.inf
        q = engine(w, fields, nonfinite="saturate")
        assert_same_stored(q, quantize(w, fields))
        with pytest.raises(qr.NonFiniteError) as failure:
            engine(w, fields)
        assert failure.value.count == 2 * len(damaged)


def test_strided_narrow_rows_are_no_run() -> None:
    w = values_of("normal", (300, 40))[:, :16]
    fields = Fields.of("int4")
    assert_same_stored(engine(w, fields), quantize(w, fields))
    assert_same_stored(engine(w[::-1], fields), quantize(w[::-1], fields))
