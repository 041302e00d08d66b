# SPDX-License-Identifier: Apache-2.0
"""Arrow in and out: types, shapes, slices, empties."""

import json
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest
import quarrow as qr
from arrow_layers import assert_rows_are, quantize, singles, some_layers, table_of
from bit_identity import AFFINE, ROWWISE, as_format, variant_name
from reference import Fields


@pytest.mark.parametrize("fields", [*AFFINE, ROWWISE], ids=variant_name)
def test_every_format_gets_the_bytes_of_a_single_call(fields: Fields) -> None:
    layers = some_layers()
    result = quantize(table_of(layers), as_format(fields))
    assert_rows_are(result.to_pyarrow(), singles(layers, as_format(fields)))


def test_the_schema_is_documented_types() -> None:
    result = quantize(table_of(some_layers(1)), "int4").to_pyarrow()
    assert {field.name: field.type for field in result.schema} == {
        "layer_name": pa.string(),
        "codes": pa.large_binary(),
        "scales": pa.list_(pa.float32()),
        "zero_points": pa.list_(pa.uint8()),
        "shape": pa.list_(pa.int64()),
        "format": pa.string(),
        "params": pa.string(),
        "tensor_scale": pa.float32(),
        "scale_codes": pa.large_binary(),
        "channel_scales": pa.list_(pa.float32()),
        "codebook": pa.list_(pa.float32()),
    }


def test_params_are_all_fields_of_the_format() -> None:
    format_ = qr.Format("int4", group_size=16, rounding="stochastic", seed=7)
    layers = some_layers(2, "float16")
    result = quantize(table_of(layers), format_).to_pyarrow()
    assert [json.loads(params) for params in result["params"].to_pylist()] == 2 * [
        {
            "group_size": 16,
            "symmetric": False,
            "scale_dtype": "float32",
            "packed": True,
            "rounding": "stochastic",
            "seed": 7,
            "dtype": "float16",
        }
    ]
    assert_rows_are(result, singles(layers, format_))


# Types of the columns.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, pa.list_view, pa.large_list_view])
def test_lists_of_every_float(dtype: str, kind: Any) -> None:
    layers = some_layers(dtype=dtype)
    type_ = kind(pa.from_numpy_dtype(np.dtype(dtype)))
    values = pa.array([w.ravel() for w in layers.values()], type_)
    table = table_of(layers, weights=values)
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))


def test_plain_lists_of_python_floats() -> None:
    layers = some_layers()
    table = pa.table(
        {
            "layer_name": list(layers),
            "weights": [w.ravel().tolist() for w in layers.values()],
            "shape": [w.shape for w in layers.values()],
        }
    )
    assert table.schema.field("weights").type == pa.list_(pa.float64())
    assert_rows_are(quantize(table, "int8").to_pyarrow(), singles(layers, "int8"))


def test_lists_of_fixed_size() -> None:
    random = np.random.default_rng(0)
    layers = {f"l{i}": random.normal(size=(4, 6)).astype(np.float32) for i in range(5)}
    flat = pa.array(np.concatenate([w.ravel() for w in layers.values()]))
    table = table_of(layers, weights=pa.FixedSizeListArray.from_arrays(flat, 24))
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    assert_rows_are(
        quantize(table.slice(2, 2), "int4").to_pyarrow(),
        singles({name: layers[name] for name in ("l2", "l3")}),
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_fixed_shape_tensors_bring_their_shape(dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=(5, 3, 4, 2)).astype(dtype)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    table = pa.table({"layer_name": [f"l{i}" for i in range(5)], "weights": tensors})
    layers = {f"l{i}": values[i] for i in range(5)}
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    # A shape in its column counts; where it is null, that of the type.
    table = table.append_column("shape", pa.array([None, [6, 4], None, [24], None]))
    layers |= {"l1": values[1].reshape(6, 4), "l3": values[3].ravel()}
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))


def test_permuted_tensors_are_refused() -> None:
    values = np.zeros((2, 12), np.float32)
    permuted = pa.fixed_shape_tensor(pa.float32(), [3, 4], permutation=[1, 0])
    storage = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 12)
    array = pa.ExtensionArray.from_storage(permuted, storage)
    with pytest.raises(qr.InvalidInputError, match=r"column 'weights'.*permuted"):
        quantize(pa.table({"layer_name": ["a", "b"], "weights": array}), "int4")
    plain = pa.fixed_shape_tensor(pa.float32(), [3, 4], permutation=[0, 1])
    array = pa.ExtensionArray.from_storage(plain, storage)
    assert len(quantize(pa.table({"layer_name": ["a", "b"], "weights": array}), "int4")) == 2


@pytest.mark.parametrize(
    "type_",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint16(), pa.large_string()),
        pa.dictionary(pa.int64(), pa.string()),
        pa.dictionary(pa.uint64(), pa.string()),
    ],
    ids=str,
)
def test_names_of_every_type(type_: pa.DataType) -> None:
    layers = dict(
        zip(
            ["a", "of twelve by", "a name beyond zw\u00f6lf bytes", "", "\u65e5\u672c"],
            some_layers().values(),
            strict=False,
        )
    )
    names = pa.array(list(layers), pa.string()).cast(type_)
    table = table_of(layers, layer_name=names)
    assert table.schema.field("layer_name").type == type_
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    rest = dict(list(layers.items())[1:4])
    assert_rows_are(quantize(table.slice(1, 3), "int4").to_pyarrow(), singles(rest))


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.int32()),
        pa.large_list(pa.int64()),
        pa.large_list(pa.int32()),
        pa.list_(pa.int64(), 2),
        pa.list_(pa.int32(), 2),
    ],
    ids=str,
)
def test_shapes_of_every_type(type_: pa.DataType) -> None:
    layers = some_layers()
    shapes = pa.array([list(w.shape) for w in layers.values()], type_)
    table = table_of(layers, shape=shapes)
    assert_rows_are(
        quantize(table.slice(1), "int4").to_pyarrow(), singles(dict(list(layers.items())[1:]))
    )


def test_no_shape_is_one_dimension_and_an_empty_one_is_one_element() -> None:
    layers = some_layers(2)
    flat = {name: w.ravel() for name, w in layers.items()}
    for shapes in (pa.array([None, None], pa.list_(pa.int64())), pa.nulls(2)):
        table = table_of(layers, shape=shapes)
        assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(flat))
    table = table_of(layers).drop_columns("shape")
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(flat))
    for empty in (pa.list_(pa.int64()), pa.list_(pa.null())):
        one = pa.table({"layer_name": ["a"], "weights": [[3.0]], "shape": pa.array([[]], empty)})
        row = quantize(one, "int8").to_pyarrow().to_pylist()[0]
        assert (row["shape"], row["codes"]) == ([], b"\xff")


def test_other_columns_may_be_named() -> None:
    layers = some_layers(3)
    table = table_of(layers).rename_columns(["layer_name", "key", "data", "dims"])
    columns = {"name_column": "key", "weights_column": "data", "shape_column": "dims"}
    result = quantize(table, "int4", **columns)
    assert_rows_are(result.to_pyarrow(), singles(layers))


# Empties.


@pytest.mark.parametrize(
    "table",
    [
        table_of({}),
        pa.table({"layer_name": pa.nulls(0), "weights": pa.nulls(0), "shape": pa.nulls(0)}),
        table_of(some_layers()).slice(0, 0),
        pa.Table.from_batches([], table_of({}).schema),
    ],
)
def test_no_rows_are_no_rows(table: pa.Table) -> None:
    result = quantize(table, "int4")
    assert (len(result), result.errors) == (0, {})
    assert_rows_are(result.to_pyarrow(), {})
    assert pa.record_batch(result).num_rows == 0
    stream = quantize(table.to_reader(), "int4")
    assert pa.table(stream).num_rows == 0


def test_empty_weights() -> None:
    layers = {"none": np.zeros((0, 3)), "some": np.ones((2, 2)), "no columns": np.zeros((3, 0))}
    for name in ("int4", "int8", "int8_rowwise"):
        result = quantize(table_of(layers), name)
        assert_rows_are(result.to_pyarrow(), singles(layers, name))


# Offsets, slices, chunks, bitmaps.


@pytest.mark.parametrize(("start", "count"), [(0, 6), (1, 5), (3, 1), (5, 1), (2, 3)])
def test_slices(start: int, count: int) -> None:
    layers = some_layers()
    expected = singles(dict(list(layers.items())[start : start + count]))
    table = table_of(layers)
    assert_rows_are(quantize(table.slice(start, count), "int4").to_pyarrow(), expected)
    batch = table.to_batches()[0].slice(start, count)
    assert_rows_are(quantize(batch, "int4").to_pyarrow(), expected)
    struct = table.to_struct_array().combine_chunks().slice(start, count)
    assert_rows_are(quantize(struct, "int4").to_pyarrow(), expected)


def test_items_of_lists_that_begin_further_on() -> None:
    values = np.random.default_rng(0).normal(size=100)
    items = pa.array(values).slice(7)
    table = pa.table(
        {
            "layer_name": ["a", "b"],
            "weights": pa.ListArray.from_arrays(pa.array([3, 40, 93], pa.int32()), items),
            "shape": pa.ListArray.from_arrays(
                pa.array([0, 1, 2], pa.int32()), pa.array([99, 37, 53]).slice(1)
            ),
        }
    )
    layers = {"a": values[10:47], "b": values[47:100]}
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(values).slice(4), 12)
    table = pa.table({"layer_name": list("abcdefgh"), "weights": fixed}).slice(2, 3)
    layers = {name: values[4 + 12 * i : 16 + 12 * i] for i, name in enumerate("abcde") if i > 1}
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_a_dictionary_that_begins_further_on(text: pa.DataType) -> None:
    layers = some_layers(3)
    words = pa.array(["not", None, "these", *layers, "nor this"]).cast(text)
    names = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 0], pa.int8()), words.slice(3, 3))
    rows = dict(zip(["l0", "l1", "l2"], layers.values(), strict=True))
    table = table_of(rows, layer_name=names.slice(0, 3))
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(rows))
    part = {name: layers[name] for name in ("l1", "l2")}
    assert_rows_are(quantize(table.slice(1), "int4").to_pyarrow(), singles(part))


@pytest.mark.parametrize("item", [pa.int32(), pa.int64()], ids=str)
@pytest.mark.parametrize("start", [0, 1, 3])
def test_dimensions_that_begin_further_on(item: pa.DataType, start: int) -> None:
    """In the list of a row, in its column and in the items below it."""
    layers = some_layers(4)
    dimensions = pa.array([7, 7, *(d for w in layers.values() for d in w.shape)], item).slice(2)
    lists = {
        "list": pa.ListArray.from_arrays(pa.array([0, 2, 4, 6, 8], pa.int32()), dimensions),
        "large_list": pa.LargeListArray.from_arrays(pa.array([0, 2, 4, 6, 8]), dimensions),
        "fixed_size_list": pa.FixedSizeListArray.from_arrays(dimensions, 2),
    }
    rest = singles(dict(list(layers.items())[start:]))
    for shapes in lists.values():
        shifted = pa.concat_arrays([shapes[:1], shapes])[1:]
        for column in (shapes, shifted):
            table = table_of(layers, shape=column)
            assert_rows_are(quantize(table.slice(start), "int4").to_pyarrow(), rest)


def test_chunks_that_differ_between_columns() -> None:
    layers = some_layers()
    plain = table_of(layers).combine_chunks()
    names, weights = plain["layer_name"].chunk(0), plain["weights"].chunk(0)
    chunked = {
        "layer_name": pa.chunked_array([names[:2], names[2:]]),
        "weights": pa.chunked_array([weights[:5], weights[5:5], weights[5:]]),
        "shape": plain["shape"],
    }
    result = quantize(pa.table(chunked), "int4")
    assert_rows_are(result.to_pyarrow(), singles(layers))
    assert isinstance(result, qr.ArrowBatch)


def test_bitmaps_without_nulls_are_read_at_every_bit() -> None:
    """A null elsewhere gives each array a bitmap; the slice begins at any bit of it."""
    layers = some_layers(20)
    table = table_of(layers)
    for count in range(1, 10):
        nulls = {
            "layer_name": pa.nulls(count, pa.string()),
            "weights": pa.nulls(count, pa.list_(pa.float64())),
            "shape": pa.nulls(count, pa.list_(pa.int64())),
        }
        whole = pa.concat_tables([pa.table(nulls), table.drop_columns("extra"), pa.table(nulls)])
        part = whole.combine_chunks().slice(count, len(layers))
        assert_rows_are(quantize(part, "int4").to_pyarrow(), singles(layers))


# pyarrow in, the same kind out.


def test_quantize_pyarrow_gives_the_kind_it_gets() -> None:
    layers = some_layers()
    table = table_of(layers)
    assert_rows_are(qr.quantize_pyarrow(table, "int4"), singles(layers))
    batch = qr.quantize_pyarrow(table.to_batches()[0], "int4", group_size=16)
    assert isinstance(batch, pa.RecordBatch)
    expected = singles(layers, qr.Format("int4", group_size=16))
    assert_rows_are(pa.Table.from_batches([batch]), expected)
    assert isinstance(qr.quantize_pyarrow(table.slice(0, 0), "int4"), pa.Table)
    empty = table.to_batches()[0].slice(0, 0)
    assert qr.quantize_pyarrow(empty, "int4").schema == batch.schema
    layers["l1"][0, 0] = np.nan
    skipped = qr.quantize_pyarrow(table_of(layers).to_batches()[0], "int4", on_error="skip")
    assert isinstance(skipped, pa.RecordBatch)
    assert skipped.num_rows == 5
    with pytest.raises(qr.InvalidInputError, match="not list"):
        qr.quantize_pyarrow([1], "int4")
    assert pickle.loads(pickle.dumps(qr.quantize_pyarrow)) is qr.quantize_pyarrow


def test_reprs() -> None:
    table = table_of(some_layers(1))
    assert repr(quantize(table, "int4")) == "ArrowBatch(1 layer)"
    assert repr(quantize(table.to_reader(), "int4")) == "ArrowStream(0 batches begun)"
