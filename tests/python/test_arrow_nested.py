# SPDX-License-Identifier: Apache-2.0
"""Weights as lists of lists: matrices and more, in every layout of Arrow."""

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import quarrow as qr
from arrow_layers import Weights, assert_rows_are, quantize, singles, some_layers, table_of
from quarrow import _core

List = Callable[[pa.DataType], pa.DataType]
LISTS: dict[str, List] = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "list_view": pa.list_view,
    "large_list_view": pa.large_list_view,
}


def of_size(size: int) -> List:
    return lambda item: pa.list_(item, size)


def nested(layers: Weights, type_: pa.DataType, **columns: Any) -> pa.Table:
    """Return layers as lists in each other, without a column of shapes."""
    weights = pa.array([w.tolist() for w in layers.values()], type_)
    names = pa.array(list(layers), pa.string())
    return pa.table({"layer_name": names, "weights": weights, **columns})


def addresses(source: Any) -> list[int]:
    columns = {"name_column": "layer_name", "weights_column": "weights", "shape_column": "shape"}
    return _core.ArrowSource(source.__arrow_c_stream__(), **columns).addresses_read()


def refused(table: pa.Table, said: str, name: str | None = "l1") -> None:
    with pytest.raises(qr.InvalidInputError) as failure:
        quantize(table, "int8")
    assert said in str(failure.value)
    assert failure.value.name == name


# Matrices have the shape of their lists.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("inner", [*LISTS, "fixed_size_list"])
@pytest.mark.parametrize("outer", [*LISTS, "fixed_size_list"])
def test_matrices_of_every_layout(outer: str, inner: str, dtype: str) -> None:
    random = np.random.default_rng(0)
    fixed = outer == "fixed_size_list"
    layers: Weights = {
        f"l{i}": random.normal(size=(4 if fixed else 2 + i, 35)).astype(dtype) for i in range(5)
    }
    rows = LISTS.get(inner, of_size(35))(pa.from_numpy_dtype(np.dtype(dtype)))
    table = nested(layers, LISTS.get(outer, of_size(4))(rows))
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    rest = singles(dict(list(layers.items())[1:4]))
    assert_rows_are(quantize(table.slice(1, 3), "int4").to_pyarrow(), rest)
    batches = quantize(table.to_reader(max_chunksize=2), "int4").to_pyarrow()
    assert_rows_are(batches, singles(layers))


def test_plain_python_lists() -> None:
    layers = some_layers()
    table = pa.table({"layer_name": list(layers), "weights": [w.tolist() for w in layers.values()]})
    assert_rows_are(quantize(table, "int8").to_pyarrow(), singles(layers, "int8"))


@pytest.mark.parametrize(
    "inner", [of_size(3)(of_size(3)(pa.float64())), pa.list_(pa.list_(pa.float64()))], ids=str
)
def test_convolutions(inner: pa.DataType) -> None:
    random = np.random.default_rng(0)
    layers: Weights = {f"l{i}": random.normal(size=(3 + i, 2 + i, 3, 3)) for i in range(3)}
    table = nested(layers, pa.large_list(pa.list_(inner)))
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))


def test_a_shape_in_its_column_counts() -> None:
    layers: Weights = {"l0": np.arange(24.0).reshape(4, 6), "l1": np.ones((2, 9))}
    type_ = pa.list_(pa.list_(pa.float64()))
    table = nested(layers, type_, shape=pa.array([[2, 3, 4], None]))
    expected = {"l0": layers["l0"].reshape(2, 3, 4), "l1": layers["l1"]}
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(expected))
    table = nested(layers, type_, shape=pa.array([[24], [3, 5]]))
    refused(table, "column 'shape', row 1: the product of the shape is 15, but the weight has 18")


def test_lists_in_lists_have_no_shape_themselves() -> None:
    table = nested({"l0": np.ones((2, 2))}, pa.list_(pa.list_(pa.float64())))
    table = table.append_column("shape", pa.array([[[2, 2]]]))
    refused(table, "column 'shape': got the type list<list<int64>>", None)


@pytest.mark.parametrize(
    ("type_", "shape"),
    [
        (pa.list_(pa.list_(pa.float32())), (0, 0)),
        (pa.list_(of_size(5)(pa.float32())), (0, 5)),
        (of_size(0)(of_size(5)(pa.float32())), (0, 5)),
        (pa.list_view(pa.list_view(pa.float32())), (0, 0)),
        (pa.list_(of_size(2)(of_size(3)(pa.float32()))), (0, 2, 3)),
    ],
    ids=str,
)
def test_matrices_without_rows(type_: pa.DataType, shape: tuple[int, ...]) -> None:
    table = nested({"l0": np.zeros((0, 3))}, type_)
    expected = {"l0": np.zeros(shape, np.float32)}
    assert_rows_are(quantize(table, "int8").to_pyarrow(), singles(expected, "int8"))


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.list_(pa.float32())),
        pa.list_(of_size(0)(pa.float32())),
        pa.list_view(pa.list_view(pa.float32())),
    ],
    ids=str,
)
def test_matrices_without_columns(type_: pa.DataType) -> None:
    layers: Weights = {"l0": np.zeros((3, 0), np.float32), "l1": np.zeros((1, 0), np.float32)}
    for format_ in ("int8", "int8_rowwise"):
        result = quantize(nested(layers, type_), format_)
        assert_rows_are(result.to_pyarrow(), singles(layers, format_))


# Views.


@pytest.mark.parametrize("kind", [pa.ListViewArray, pa.LargeListViewArray])
def test_rows_of_views_overlap_in_any_order(kind: Any) -> None:
    values = np.random.default_rng(0).normal(size=200).astype(np.float32)
    wide = pa.int64() if kind is pa.LargeListViewArray else pa.int32()
    begins, sizes = [150, 3, 3, 0, 197], [50, 40, 7, 150, 0]
    views = kind.from_arrays(pa.array(begins, wide), pa.array(sizes, wide), pa.array(values))
    table = pa.table({"layer_name": list("abcde"), "weights": views})
    layers = {
        name: values[begin : begin + size]
        for name, begin, size in zip("abcde", begins, sizes, strict=True)
    }
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    rest = {name: layers[name] for name in "bcd"}
    assert_rows_are(quantize(table.slice(1, 3), "int4").to_pyarrow(), singles(rest))
    start = views.values.buffers()[1].address
    assert addresses(table) == [start + 4 * begin for begin in begins]


@pytest.mark.parametrize("item", [pa.int32(), pa.int64()], ids=str)
@pytest.mark.parametrize("kind", [pa.list_view, pa.large_list_view])
def test_shapes_may_be_views(kind: List, item: pa.DataType) -> None:
    layers = some_layers(3)
    shapes = pa.array([w.shape for w in layers.values()], kind(item)).take(pa.array([2, 0, 1]))
    rows = {name: layers[name] for name in ("l2", "l0", "l1")}
    table = table_of(rows, shape=shapes)
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(rows))


def views_of(values: Any, begins: list[int], size: int) -> pa.Table:
    """Return one weight whose rows begin where they are told to."""
    rows = pa.ListViewArray.from_arrays(
        pa.array(begins, pa.int32()), pa.array([size] * len(begins), pa.int32()), pa.array(values)
    )
    weights = pa.ListArray.from_arrays(pa.array([0, len(begins)], pa.int32()), rows)
    return pa.table({"layer_name": ["l1"], "weights": weights})


@pytest.mark.parametrize(
    "begins", [[0, 40, 80], [5, 55, 105, 155], [120, 80, 40, 0], [7, 7, 7], [0, 8, 16], [40, 24, 8]]
)
def test_rows_at_equal_distances_are_read_in_place(begins: list[int]) -> None:
    values = np.random.default_rng(0).normal(size=200).astype(np.float32)
    table = views_of(values, begins, 40)
    w = np.stack([values[begin : begin + 40] for begin in begins])
    for format_ in ("int4", "int8_rowwise"):
        result = quantize(table, format_)
        assert_rows_are(result.to_pyarrow(), singles({"l1": w}, format_))
        assert result.stats.bytes_copied == 0
    assert addresses(table) == [
        table["weights"].chunk(0).values.values.buffers()[1].address + 4 * begins[0]
    ]
    # Their distance is that of one matrix alone.
    shaped = table.append_column("shape", pa.array([[len(begins), 5, 8]]))
    expected = {"l1": w.reshape(len(begins), 5, 8)}
    assert_rows_are(quantize(shaped, "int4").to_pyarrow(), singles(expected))
    flat = table.append_column("shape", pa.array([[w.size]]))
    if begins == [0, 40, 80]:
        assert_rows_are(quantize(flat, "int4").to_pyarrow(), singles({"l1": w.ravel()}))
    else:
        refused(flat, "column 'weights', row 0: the lists within the weight do not lie as the rows")


def test_rows_at_unequal_distances_are_refused_and_the_remedy_works() -> None:
    values = np.random.default_rng(0).normal(size=200).astype(np.float32)
    begins = [0, 80, 40]
    table = views_of(values, begins, 40)
    refused(table, "column 'weights', row 0: the lists within the weight do not lie as the rows")
    refused(table, "store them so, as lists that are no views")
    stored = pa.array(table["weights"].to_pylist(), pa.list_(pa.list_(pa.float32())))
    w = np.stack([values[begin : begin + 40] for begin in begins])
    result = quantize(table.set_column(1, "weights", stored), "int4")
    assert_rows_are(result.to_pyarrow(), singles({"l1": w}))


# What is no matrix.

RAGGED = "the lists within the weight have different lengths, so they are no matrix: "


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ([[1.0, 2.0], [3.0]], RAGGED + "the first has 2, list 1 has 1"),
        ([[], [3.0]], RAGGED + "the first has 0, list 1 has 1"),
        ([[1.0], [3.0], []], RAGGED + "the first has 1, list 2 has 0"),
        ([[1.0, 2.0], None], "list 1 within the weight is null"),
        ([None], "list 0 within the weight is null"),
        ([[1.0, 2.0], [None, 1.0]], "the weight holds a null at index 2"),
        (None, "the weight is null"),
    ],
)
@pytest.mark.parametrize("outer", LISTS)
@pytest.mark.parametrize("inner", LISTS)
def test_what_is_no_matrix_is_refused(outer: str, inner: str, weight: Any, said: str) -> None:
    type_ = LISTS[outer](LISTS[inner](pa.float32()))
    weights = pa.array([[[1.0]], weight, [[1.0]]], type_)
    table = pa.table({"layer_name": ["l0", "l1", "l2"], "weights": weights})
    refused(table, f"column 'weights', row 1: {said}")
    assert len(quantize(table, "int8", on_error="skip").errors) == 1


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ([None, [1.0, 2.0]], "list 0 within the weight is null"),
        ([[1.0, 2.0], [1.0, None]], "the weight holds a null at index 3"),
    ],
)
def test_nulls_in_lists_of_fixed_size_are_refused(weight: Any, said: str) -> None:
    table = pa.table(
        {
            "layer_name": ["l0", "l1"],
            "weights": pa.array([[[1.0, 2.0]], weight], pa.list_(of_size(2)(pa.float32()))),
        }
    )
    refused(table, f"column 'weights', row 1: {said}")


def test_nulls_of_other_weights_are_none_of_a_matrix() -> None:
    weights = pa.array([None, [None], [[None, 1.0]], [[1.0, 2.0], [3.0, 4.0]]])
    table = pa.table({"layer_name": list("abcd"), "weights": weights})
    result = quantize(table, "int8", on_error="skip")
    assert list(result.errors) == ["a", "b", "c"]
    expected = singles({"d": np.array([[1.0, 2.0], [3.0, 4.0]])}, "int8")
    assert_rows_are(result.to_pyarrow(), expected)


def test_tensors_in_a_list_are_refused() -> None:
    """Each has a shape of its own, which a list of them would lose."""
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((4, 2, 3), np.float32))
    weights = pa.ListArray.from_arrays(pa.array([0, 4], pa.int32()), tensors)
    table = pa.table({"layer_name": ["l0"], "weights": weights})
    refused(table, "column 'weights': got the type list<extension<arrow.fixed_shape_tensor", None)


# Other libraries.


def test_an_extension_type_is_read_as_what_it_stores() -> None:
    """As of the library datasets, whose Array2D are lists of lists."""

    class Array2D(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self, storage: pa.DataType) -> None:
            super().__init__(storage, "datasets.features.features.Array2DExtensionType")

        def __arrow_ext_serialize__(self) -> bytes:
            return b'[[4, 6], "float32"]'

    layers: Weights = {f"l{i}": np.random.default_rng(i).normal(size=(4, 6)) for i in range(3)}
    plain = nested(layers, pa.list_(pa.list_(pa.float32())))
    storage = plain["weights"].combine_chunks()
    array = pa.ExtensionArray.from_storage(Array2D(storage.type), storage)
    table = plain.set_column(1, "weights", array)
    expected = singles({name: w.astype(np.float32) for name, w in layers.items()})
    assert_rows_are(quantize(table, "int4").to_pyarrow(), expected)


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_matrices_of_polars(dtype: Any) -> None:
    layers: Weights = {f"l{i}": np.random.default_rng(i).normal(size=(4, 6)) for i in range(3)}
    lists = [w.tolist() for w in layers.values()]
    numpy = np.float32 if dtype is pl.Float32 else np.float64
    expected = singles({name: w.astype(numpy) for name, w in layers.items()})
    for type_ in (
        pl.Array(dtype, shape=(4, 6)),
        pl.List(pl.List(dtype)),
        pl.List(pl.Array(dtype, 6)),
    ):
        frame = pl.DataFrame({"layer_name": list(layers), "weights": pl.Series(lists, dtype=type_)})
        assert_rows_are(quantize(frame, "int4").to_pyarrow(), expected)
        rest = dict(list(expected.items())[1:])
        assert_rows_are(quantize(frame.slice(1), "int4").to_pyarrow(), rest)


@pytest.mark.parametrize("type_", ["FLOAT[][]", "FLOAT[6][4]", "FLOAT[6][]"])
def test_matrices_of_duckdb(type_: str) -> None:
    layers: Weights = {
        f"l{i}": np.random.default_rng(i).normal(size=(4, 6)).astype(np.float32) for i in range(3)
    }
    source = nested(layers, pa.list_(pa.list_(pa.float32())))  # noqa: F841  (duckdb finds it)
    for views in ("false", "true"):
        with duckdb.connect() as connection:
            connection.execute(f"SET arrow_output_list_view = {views}")
            relation = connection.sql(
                f"SELECT layer_name, weights::{type_} AS weights FROM source ORDER BY layer_name"
            )
            assert_rows_are(quantize(relation, "int4").to_pyarrow(), singles(layers))
