# SPDX-License-Identifier: Apache-2.0
"""Arrow data that cannot be quantized, and options."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest
import quarrow as qr
from arrow_layers import assert_rows_are, quantize, singles, some_layers, table_of


def refused(table: Any, **options: Any) -> qr.InvalidInputError:
    """Return the error, the same for a table and for a stream but for the number of the batch."""
    with pytest.raises(qr.InvalidInputError) as failure:
        quantize(table, "int4", **options)
    if isinstance(table, pa.Table):
        with pytest.raises(qr.InvalidInputError) as streamed:
            list(quantize(table.to_reader(), "int4", **options))
        assert str(streamed.value).removeprefix("batch 0: ") == str(failure.value)
        assert streamed.value.name == failure.value.name
    return failure.value


@pytest.mark.parametrize(
    ("columns", "name", "said"),
    [
        ({"layer_name": pa.array(["a", None])}, None, "'layer_name', row 1: the name is null"),
        ({"layer_name": pa.nulls(2)}, None, "column 'layer_name', row 0: the name is null"),
        (
            {"layer_name": pa.array(["a", None]).dictionary_encode()},
            None,
            "column 'layer_name', row 1: the name is null",
        ),
        ({"layer_name": pa.array(["a", "a"])}, "a", "column 'layer_name', row 1: an earlier row"),
        ({"weights": pa.array([[1.0], None])}, "b", "column 'weights', row 1: the weight is null"),
        ({"weights": pa.nulls(2)}, "a", "column 'weights', row 0: the weight is null"),
        ({"weights": pa.array([[1.0], [1.0, None]])}, "b", "holds a null at index 1"),
        ({"shape": pa.array([[4], [3]])}, "b", "of the shape is 3, but the weight has 4"),
        ({"shape": pa.array([[4], [-4, -1]])}, "b", "the negative dimension -4"),
        ({"shape": pa.array([[4], [2**62, 2**62, 0]])}, "b", "does not fit in 63 bits"),
        (
            {"weights": pa.array([[1.0], []]), "shape": pa.array([[1], [0, 2**62, 2**62]])},
            "b",
            "column 'shape', row 1: the product of the shape does not fit in 63 bits",
        ),
        (
            {"weights": pa.array([[1.0], []]), "shape": pa.array([[1], [2**62, 0, 2**62]])},
            "b",
            "does not fit in 63 bits",
        ),
        ({"shape": pa.array([[4], [4, None]])}, "b", "dimension 1 of the shape is null"),
        ({"shape": pa.array([[4], []], pa.list_(pa.int64()))}, "b", "is 1, but the weight has 4"),
        ({"weights": pa.array([[1, 2], [3, 4]])}, None, "got the type list<int64>"),
        ({"weights": pa.array([1.0, 2.0])}, None, "column 'weights': got the type float64"),
        ({"weights": pa.array(["a", "b"])}, None, "column 'weights': got the type string"),
        ({"weights": pa.array([[[1]], [[1]]])}, None, "list<list<int64>>"),
        ({"weights": pa.array([{"a": 1}, {"a": 1}])}, None, "struct<int64>"),
        ({"layer_name": pa.array([1, 2])}, None, "column 'layer_name': got the type int64"),
        ({"layer_name": pa.array([b"a", b"b"])}, None, "column 'layer_name': got the type binary"),
        (
            {"layer_name": pa.array([1, 2]).dictionary_encode()},
            None,
            "column 'layer_name': got the type dictionary<int64>",
        ),
        ({"shape": pa.array([[4.0], [4.0]])}, None, "column 'shape': got the type list<float64>"),
        ({"shape": pa.array([4, 4])}, None, "column 'shape': got the type int64"),
    ],
)  # fmt: skip
def test_wrong_columns(columns: dict[str, pa.Array], name: str | None, said: str) -> None:
    table = pa.table(
        {"layer_name": ["a", "b"], "weights": [[1.0] * 4] * 2, "shape": [[4], [2, 2]], **columns}
    )
    if "weights" in columns and "shape" not in columns:
        table = table.drop_columns("shape")
    error = refused(table)
    assert said in str(error)
    assert error.name == name


@pytest.mark.parametrize(
    "type_",
    [
        pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.timestamp("s"),
        pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Paris"),
        pa.duration("s"), pa.duration("ms"), pa.duration("us"), pa.duration("ns"),
        pa.month_day_nano_interval(), pa.decimal32(5, 2), pa.decimal128(19, -3),
        pa.decimal256(50, 3), pa.binary(42), pa.large_binary(), pa.binary_view(), pa.bool_(),
    ],
    ids=str,
)  # fmt: skip
def test_types_have_the_names_of_pyarrow(type_: pa.DataType) -> None:
    for column in ("layer_name", "weights", "shape"):
        plain = {"layer_name": ["a"], "weights": [[1.0]], "shape": [[1]]}
        table = pa.table(plain | {column: pa.nulls(1, type_)})
        assert f"column '{column}': got the type {type_};" in str(refused(table))
        lists = pa.table(plain | {column: pa.nulls(1, pa.list_view(type_))})
        assert f"column '{column}': got the type list_view<{type_}>;" in str(refused(lists))


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (pa.date32(), "date32"),
        (pa.date64(), "date64"),
        (pa.map_(pa.string(), pa.int8()), "map<struct<string, int8>>"),
        (pa.uuid(), "extension<arrow.uuid, fixed_size_binary[16]>"),
        (pa.list_(pa.bool_(), 3), "fixed_size_list<bool, 3>"),
        (pa.run_end_encoded(pa.int16(), pa.time32("s")), "run_end_encoded<int16, time32[s]>"),
        (pa.dictionary(pa.int8(), pa.large_binary()), "dictionary<large_binary>"),
    ],
    ids=str,
)
def test_types_of_several_parts_are_named(type_: pa.DataType, text: str) -> None:
    weights = pa.array([], type_)
    table = pa.table({"layer_name": pa.array([], pa.string()), "weights": weights})
    assert f"column 'weights': got the type {text};" in str(refused(table))


def test_missing_and_repeated_columns() -> None:
    assert "no such column; the columns are: a, b" in str(refused(pa.table({"a": [1], "b": [1]})))
    layers = table_of(some_layers(1))
    assert "column 'w'" in str(refused(layers, weights_column="w"))
    names = [*layers.schema.names, "weights"]
    twice = pa.Table.from_arrays([*layers.columns, layers["weights"]], names)
    assert "two columns of this name" in str(refused(twice))


def test_a_name_that_is_no_utf8() -> None:
    names = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")]
    )
    table = pa.table({"layer_name": names, "weights": [[1.0]]})
    assert "column 'layer_name', row 0: the name is not UTF-8" in str(refused(table))


def test_null_rows() -> None:
    struct = pa.StructArray.from_arrays(
        [pa.array(["a", "b"]), pa.array([[1.0], [2.0]])],
        ["layer_name", "weights"],
        mask=pa.array([False, True]),
    )
    assert "row 1: the row is null" in str(refused(struct))


@pytest.mark.parametrize(
    "source",
    [
        None, 3, "text", [1.0], {"layer_name": ["a"]}, np.zeros(3), pa.array([1.0]),
        pa.chunked_array([[1.0]]), object(), (1, 2),
    ],
)  # fmt: skip
def test_what_is_no_table(source: Any) -> None:
    with pytest.raises(qr.InvalidInputError, match=r"pass a|is a struct|expected a capsule"):
        quantize(source, "int4")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name_column": 3}, {"weights_column": None}, {"on_error": "no"}, {"progress": 3},
        {"copy": 1}, {"nonfinite": "no"}, {"threads": 0}, {"rules": 3}, {"group_size": 0},
    ],
)  # fmt: skip
def test_wrong_options(wrong: dict[str, Any]) -> None:
    with pytest.raises(qr.InvalidInputError):
        quantize(table_of({}), "int4", **wrong)


def test_unknown_formats_are_refused_without_rows_too() -> None:
    for wrong in ({"format": "int5"}, {"bits": 4}, {"rules": [("a", "int5")]}):
        with pytest.raises(qr.UnsupportedFormatError):
            quantize(table_of({}), **{"format": "int4", **wrong})


def test_errors_are_those_of_a_batch() -> None:
    layers = some_layers()
    layers["l1"][-1, -1] = np.nan
    layers["l4"][0, 0] = -np.inf
    table = table_of(layers)
    with pytest.raises(qr.NonFiniteError) as failure:
        quantize(table, "int4")
    with pytest.raises(qr.NonFiniteError) as batch:
        qr.quantize_batch(layers, "int4")
    assert failure.value == batch.value
    result = quantize(table, "int4", on_error="skip")
    assert list(result.errors) == ["l1", "l4"]
    good = {name: w for name, w in layers.items() if name not in ("l1", "l4")}
    assert_rows_are(result.to_pyarrow(), singles(good))
    # The codes of those that failed lie in between: no copy, so several record batches.
    assert not hasattr(result, "__arrow_c_array__")
    saturated = quantize(table, "int4", nonfinite="saturate").to_pyarrow()
    assert saturated.num_rows == len(layers)


def test_rules_and_progress() -> None:
    layers = some_layers()
    calls: list[tuple[int, int, str]] = []
    result = quantize(
        table_of(layers),
        "int4",
        rules=[("l[02]", "int8"), ("l1", None)],
        progress=lambda *call: calls.append(call),
    )
    expected = singles(layers) | singles({n: layers[n] for n in ("l0", "l2")}, "int8")
    del expected["l1"]
    assert_rows_are(result.to_pyarrow(), expected)
    assert [call[:2] for call in calls] == [(i, 5) for i in range(1, 6)]
    wanted = {"l3": "int2"}
    result = quantize(table_of(layers), "int4", rules=wanted.get)
    assert_rows_are(result.to_pyarrow(), singles({"l3": layers["l3"]}, "int2"))
