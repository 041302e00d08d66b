# SPDX-License-Identifier: Apache-2.0
"""Any shape, stride and address: the bits are the reference's."""

import numpy as np
import pytest
import quarrow as qr
from bit_identity import ROWWISE, assert_engine_is_reference, assert_same_stored, engine
from numpy.typing import NDArray
from reference import Fields, quantize
from value_kinds import values_of

FORMATS = ["int8", "int4", "int2"]
DTYPES = ["float32", "float16", "float64", "bfloat16"]


def typed(values: NDArray[np.float32], dtype: str) -> NDArray[np.generic]:
    if dtype == "bfloat16":
        return values.astype(pytest.importorskip("ml_dtypes").bfloat16)
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format_", [*FORMATS, "int8_rowwise"])
def test_columns_one_to_130(format_: str, dtype: str) -> None:
    for columns in range(1, 131):
        w = typed(values_of("normal", (2, columns), seed=columns), dtype)
        variants = [ROWWISE]
        if format_ != "int8_rowwise":
            variants = [
                Fields.of(format_, group_size=32),
                Fields.of(format_, group_size="row", symmetric=True),
                Fields.of(format_, group_size=max(1, columns - 1), packed=False),
            ]
        for fields in variants:
            assert_same_stored(engine(w, fields), quantize(w, fields))


@pytest.mark.parametrize("group_size", [*range(1, 20), 31, 33, 63, 64, 65, 127, 129, 1000])
@pytest.mark.parametrize("format_", FORMATS)
def test_group_sizes(format_: str, group_size: int) -> None:
    w = values_of("normal", (3, 197), seed=group_size)
    for symmetric in (False, True):
        fields = Fields.of(format_, group_size=group_size, symmetric=symmetric)
        assert_engine_is_reference(w, fields)


# Kernels take many such groups at once, from one row or from rows that lie one behind the other,
# by whole steps of 16, 32 or 64 elements (or two groups in a step).
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("group_size", [8, 16, 32, 64, 128, 192])
def test_many_groups_of_whole_steps(group_size: int, dtype: str) -> None:
    one_row = values_of("normal", (1, 67 * group_size + 5))
    layers = [
        one_row,
        one_row[:, :-5],
        one_row[:, :-5].reshape(67, group_size),
        values_of("normal", (7, 21 * group_size)),
        values_of("normal", (6, 65 * group_size))[::2],
        values_of("normal", (5, 9 * group_size + 16)),
    ]
    for w in (typed(layer, dtype) for layer in layers):
        for fields in (
            Fields.of("int4", group_size=group_size),
            Fields.of("int8", group_size=group_size, symmetric=True),
            Fields.of("int2", group_size=group_size, rounding="stochastic"),
        ):
            assert_same_stored(engine(w, fields), quantize(w, fields))


@pytest.mark.parametrize("column", [0, 4095, 4096, 8191])
def test_a_nan_among_many_groups_is_found_where_it_is(column: int) -> None:
    w = values_of("normal", (3, 8192))
    w[1, column] = np.nan
    with pytest.raises(
        qr.NonFiniteError, match=rf"index {8192 + column} \(row 1, column {column}\)"
    ):
        qr.quantize(w, "int4", group_size=32)


@pytest.mark.parametrize(
    "shape",
    [(9,), (4, 6), (3, 5, 7), (2, 3, 3, 3), (1, 1, 1, 1), (0,), (0, 5), (5, 0), (2, 0, 3), (0, 0)],
    ids=str,
)
@pytest.mark.parametrize("group_size", [4, "row", "tensor"])
@pytest.mark.parametrize("format_", [*FORMATS, "int8_rowwise"])
def test_dimensions(format_: str, group_size: int | str, shape: tuple[int, ...]) -> None:
    fields = ROWWISE if format_ == "int8_rowwise" else Fields.of(format_, group_size=group_size)
    assert_engine_is_reference(values_of("normal", shape), fields)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format_", [*FORMATS, "int8_rowwise"])
def test_rows_lie_anywhere(format_: str, dtype: str) -> None:
    fields = ROWWISE if format_ == "int8_rowwise" else Fields.of(format_, group_size=16)
    base = typed(values_of("normal", (12, 90)), dtype)
    views = [
        base[::3],
        base[::-1],
        base[10:1:-2, 7:70],
        base[:, 1:],
        base[5:6],
        base[5],
        base[:, 3:4],
        base.reshape(6, 2, 3, 30)[::2],
        base.reshape(12, 1, 90)[::-1],
        np.broadcast_to(base[3], (5, 90)),
    ]
    for view in views:
        q = engine(view, fields)
        assert q.stats.bytes_copied == 0
        assert_same_stored(q, quantize(view, fields))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format_", [*FORMATS, "int8_rowwise"])
def test_addresses_of_no_alignment(format_: str, dtype: str) -> None:
    fields = ROWWISE if format_ == "int8_rowwise" else Fields.of(format_, group_size=24)
    w = typed(values_of("normal", (5, 67)), dtype)
    expected = quantize(w, fields)
    for offset in range(1, 17):
        memory = bytes(offset) + w.tobytes() + bytes(64)
        moved = np.frombuffer(memory, w.dtype, w.size, offset).reshape(w.shape)
        q = engine(moved, fields)
        assert q.stats.bytes_copied == 0
        assert_same_stored(q, expected)


@pytest.mark.parametrize("order", ["row stride", "all strides"])
def test_a_stride_that_is_no_multiple_of_the_element(order: str) -> None:
    record = np.dtype([("mark", "u1"), ("row", "<f4", 21)])
    records = np.zeros(6, record)
    records["row"] = values_of("normal", (6, 21))
    view = records["row"] if order == "row stride" else records["row"][::-2]
    assert view.strides[0] % 4 != 0
    for format_ in FORMATS:
        fields = Fields.of(format_, group_size=8)
        q = engine(view, fields)
        assert q.stats.bytes_copied == 0
        assert_same_stored(q, quantize(view, fields))
