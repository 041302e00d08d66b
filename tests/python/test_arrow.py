# SPDX-License-Identifier: Apache-2.0
"""Arrow in and out."""

import gc
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import nanoarrow
import numpy as np
import polars
import pyarrow as pa
import pyarrow.dataset
import pytest
import quarrow as qr
from bit_identity import AFFINE, ROWWISE, as_format, variant_name
from numpy.typing import NDArray
from reference import Fields

Weights = dict[str, NDArray[Any]]
# Of which kind the result is depends on the source.
quantize: Callable[..., Any] = qr.quantize_arrow


def some_layers(count: int = 6, dtype: str = "float64") -> Weights:
    random = np.random.default_rng(3)
    return {f"l{i}": random.normal(size=(2 + i, 30 + i)).astype(dtype) for i in range(count)}


def table_of(layers: Weights, **columns: Any) -> pa.Table:
    """Return what `.tolist()` gives: lists of float64, or of the layers' own dtype."""
    values = pa.from_numpy_dtype(next(iter(layers.values())).dtype) if layers else pa.float64()
    return pa.table(
        {
            "extra": pa.array(range(len(layers)), pa.int16()),
            "layer_name": pa.array(list(layers), pa.string()),
            "weights": pa.array([w.ravel() for w in layers.values()], pa.list_(values)),
            "shape": pa.array([list(w.shape) for w in layers.values()], pa.list_(pa.int64())),
            **columns,
        }
    )


def reader_of(table: pa.Table, rows: int) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


def assert_rows_are(result: pa.Table, expected: dict[str, qr.QuantizedTensor]) -> None:
    """Compare every column with tensors, in order."""
    result.validate(full=True)
    assert result.schema.names == [
        "layer_name", "codes", "scales", "zero_points", "shape", "format", "params",
    ]  # fmt: skip
    assert result["layer_name"].to_pylist() == list(expected)
    for row, q in zip(result.to_pylist(), expected.values(), strict=True):
        assert row["codes"] == q.codes.tobytes()
        scales = np.array(row["scales"], np.float32)
        assert scales.tobytes() == q.scales.astype(np.float32).tobytes()
        zero_points = q.zero_points
        assert row["zero_points"] == (None if zero_points is None else zero_points.ravel().tolist())
        assert row["shape"] == list(q.shape)
        assert row["format"] == q.format.name
        params = json.loads(row["params"])
        assert params.pop("dtype") == q.dtype_name
        assert qr.Format(row["format"], **params) == q.format


def singles(layers: Weights, format_: Any = "int4") -> dict[str, qr.QuantizedTensor]:
    return {name: qr.quantize(w, format_, name=name) for name, w in layers.items()}


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
    }


# Types of the columns.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["list", "large_list"])
def test_lists_of_every_float(dtype: str, kind: str) -> None:
    layers = some_layers(dtype=dtype)
    make = pa.list_ if kind == "list" else pa.large_list
    type_ = make(pa.from_numpy_dtype(np.dtype(dtype)))
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


def test_fixed_shape_tensors_bring_their_shape() -> None:
    values = np.random.default_rng(0).normal(size=(5, 3, 4, 2)).astype(np.float32)
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
            ["a", "of twelve by", "längerer Name als zwölf Bytes", "", "日本語"],
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


# What is wrong.


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
        ({"shape": pa.array([[4], [-4, -1]])}, "b", "row 1: has the negative dimension -4"),
        ({"shape": pa.array([[4], [2**62, 2**62, 0]])}, "b", "does not fit in 63 bits"),
        ({"shape": pa.array([[4], [4, None]])}, "b", "dimension 1 of the shape is null"),
        ({"shape": pa.array([[4], []], pa.list_(pa.int64()))}, "b", "is 1, but the weight has 4"),
        ({"weights": pa.array([[1, 2], [3, 4]])}, None, "column 'weights': type list<int64>"),
        ({"weights": pa.array([1.0, 2.0])}, None, "column 'weights': got the type float64"),
        ({"weights": pa.array(["a", "b"])}, None, "column 'weights': got the type string"),
        ({"weights": pa.array([[[1.0]], [[1.0]]])}, None, "list<list<float64>>"),
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
    if "weights" in columns:
        table = table.drop_columns("shape")
    error = refused(table)
    assert said in str(error)
    assert error.name == name


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


# Streams.


def test_a_stream_is_quantized_batch_by_batch() -> None:
    layers = some_layers()
    taken: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for i, batch in enumerate(table_of(layers).to_batches(max_chunksize=2)):
            taken.append(i)
            yield batch

    reader = pa.RecordBatchReader.from_batches(table_of(layers).schema, batches())
    stream = quantize(reader, "int4")
    assert isinstance(stream, qr.ArrowStream)
    assert taken == []
    first = next(iter(stream))
    assert taken == [0]
    assert isinstance(first, qr.ArrowBatch)
    names = [pa.record_batch(first)["layer_name"].to_pylist()]
    names += [pa.record_batch(batch)["layer_name"].to_pylist() for batch in stream]
    assert names == [["l0", "l1"], ["l2", "l3"], ["l4", "l5"]]
    with pytest.raises(StopIteration):
        next(stream)


def test_a_stream_is_handed_on_batch_by_batch() -> None:
    layers = some_layers()
    stream = quantize(reader_of(table_of(layers), 2), "int4")
    consumer = pa.RecordBatchReader.from_stream(stream)
    assert consumer.read_next_batch().num_rows == 2
    assert_rows_are(
        consumer.read_all(), singles({name: layers[name] for name in ("l2", "l3", "l4", "l5")})
    )
    with pytest.raises(qr.InvalidInputError, match="has been handed out"):
        stream.__arrow_c_stream__()
    with pytest.raises(qr.InvalidInputError, match="has been handed out"):
        next(iter(stream))


def test_an_error_names_its_batch_and_layer() -> None:
    layers = some_layers()
    layers["l4"][0, 0] = np.nan
    table = table_of(layers)
    stream = iter(quantize(reader_of(table, 2), "int4"))
    assert [len(next(stream)), len(next(stream))] == [2, 2]
    with pytest.raises(qr.NonFiniteError, match=r"^batch 2: layer 'l4': 1 value") as failure:
        next(stream)
    assert failure.value.name == "l4"
    consumer = pa.RecordBatchReader.from_stream(quantize(reader_of(table, 2), "int4"))
    assert consumer.read_next_batch().num_rows == 2
    assert consumer.read_next_batch().num_rows == 2
    with pytest.raises(pa.ArrowInvalid, match="NonFiniteError: batch 2: layer 'l4': 1 value"):
        consumer.read_next_batch()


def test_an_error_of_the_source_is_passed_on() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield table_of(some_layers(2)).to_batches()[0]
        raise RuntimeError("the disk is gone")  # noqa: EM101

    schema = table_of({}).schema
    stream = iter(quantize(pa.RecordBatchReader.from_batches(schema, batches()), "int4"))
    assert len(next(stream)) == 2
    with pytest.raises((qr.InvalidInputError, OSError), match="the disk is gone"):
        next(stream)


def test_skipped_layers_of_each_batch() -> None:
    layers = some_layers()
    layers["l1"][0, 0] = np.nan
    stream = quantize(reader_of(table_of(layers), 3), "int4", on_error="skip")
    assert [(len(batch), list(batch.errors)) for batch in stream] == [(2, ["l1"]), (3, [])]


def test_a_stream_takes_constant_memory() -> None:
    code = """
import resource
import numpy as np, pyarrow as pa, quarrow as qr
values = pa.array(np.random.default_rng(0).normal(size=1 << 20).astype("f"))
def batches(count):
    for i in range(count):
        rows = pa.FixedSizeListArray.from_arrays(values, 1 << 18)
        yield pa.record_batch({"layer_name": [f"{i}.{j}" for j in range(4)], "weights": rows})
def run(count):
    given = batches(count)
    first = next(given)
    reader = pa.RecordBatchReader.from_batches(first.schema, given)
    rows = 0
    for batch in pa.RecordBatchReader.from_stream(qr.quantize_arrow(reader, "int8")):
        rows += batch.num_rows
    return rows
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
run(10)
before = peak()
print(run(400), peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows, kilobytes = map(int, done.stdout.split())
    print(f"{kilobytes} KB more for 400 MB of results than for 10 MB")
    assert rows == 4 * 399
    assert kilobytes < 20 << 10


# Producers and consumers.


def test_polars() -> None:
    layers = some_layers(dtype="float32")
    frame = polars.from_arrow(table_of(layers))
    result = quantize(frame, "int4")
    assert_rows_are(result.to_pyarrow(), singles(layers))
    back = polars.DataFrame(result)
    assert back["layer_name"].to_list() == list(layers)
    assert back["codes"].to_list() == [q.codes.tobytes() for q in singles(layers).values()]


def rows_of(query: str, **tables: Any) -> list[tuple[Any, ...]]:
    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)
    return connection.sql(query).fetchall()


def test_duckdb() -> None:
    layers = some_layers(dtype="float32")
    given = table_of(layers)
    relation = duckdb.sql("select layer_name, weights, shape from given where layer_name >= 'l2'")
    assert given.num_rows == 6
    result = quantize(relation, "int4")
    rest = {name: w for name, w in layers.items() if name >= "l2"}
    made = result.to_pyarrow()
    assert_rows_are(made, singles(rest))
    lengths = rows_of("select layer_name, octet_length(codes) from made", made=made)
    assert lengths == [(name, q.codes.nbytes) for name, q in singles(rest).items()]
    # As it is, through its capsule.
    found = rows_of("select count(*), sum(len(scales)) from result", result=result)
    assert found == [(4, sum(q.scales.size for q in singles(rest).values()))]


def test_nanoarrow() -> None:
    layers = some_layers()
    table = table_of(layers)
    for source in (nanoarrow.Array(table.to_batches()[0]), nanoarrow.ArrayStream(table)):
        result = quantize(source, "int4")
        assert isinstance(result, qr.ArrowStream) == isinstance(source, nanoarrow.ArrayStream)
        assert_rows_are(result.to_pyarrow(), singles(layers))
    result = quantize(table, "int4")
    rows = nanoarrow.ArrayStream(result).read_all().to_pylist()
    assert [row["layer_name"] for row in rows] == list(layers)
    assert nanoarrow.c_schema(result).format == "+s"


def test_ipc_files_readers_and_datasets(tmp_path: Path) -> None:
    layers = some_layers()
    table = table_of(layers)
    path = tmp_path / "layers.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    expected = singles(layers)
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as reader:
        assert_rows_are(quantize(reader.read_all(), "int4").to_pyarrow(), expected)
    scanner = pyarrow.dataset.dataset(path, format="arrow").scanner()
    assert_rows_are(quantize(scanner.to_reader(), "int4").to_pyarrow(), expected)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    with pa.ipc.open_stream(sink.getvalue()) as stream:
        assert_rows_are(quantize(stream, "int4").to_pyarrow(), expected)


def test_a_capsule_is_taken_once() -> None:
    table = table_of(some_layers())
    capsule = table.__arrow_c_stream__()
    assert quantize(capsule, "int4").to_pyarrow().num_rows == 6
    with pytest.raises(qr.InvalidInputError, match="has been used before"):
        quantize(capsule, "int4")
    pair = table.to_batches()[0].__arrow_c_array__()
    assert len(quantize(pair, "int4")) == 6
    with pytest.raises(qr.InvalidInputError, match="has been used before"):
        quantize(pair, "int4")


# Results of other calls.


def test_a_batch_result_is_arrow_data() -> None:
    layers = some_layers()
    layers["large"] = np.ones((1024, 4096))
    r = qr.quantize_batch(layers, "int8")
    assert_rows_are(pa.table(r), singles(layers, "int8"))
    again = pickle.loads(pickle.dumps(r))
    assert_rows_are(pa.table(again), singles(layers, "int8"))


def test_a_tensor_is_a_record_batch_of_one_row() -> None:
    w = np.random.default_rng(0).normal(size=(5, 70)).astype(np.float32)
    for name in ("a", None):
        q = qr.quantize(w, "int4", name=name, scale_dtype="float16")
        batch = pa.record_batch(q)
        assert batch.num_rows == 1
        assert_rows_are(pa.Table.from_batches([batch]), {name: q})  # type: ignore[dict-item]
    held = qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape)
    batch = pa.record_batch(held)
    del held
    gc.collect()
    assert batch["codes"][0].as_py() == q.codes.tobytes()


# Memory.


def buffer_addresses(column: pa.ChunkedArray) -> list[int]:
    return [buffer.address for buffer in column.chunk(0).buffers() if buffer is not None]


def test_results_lie_where_the_engine_wrote_them() -> None:
    layers = some_layers()
    r = qr.quantize_batch(layers, "int4")
    table = pa.table(r)
    first = r["l0"]

    def address(array: Any) -> int:
        return int(array.__array_interface__["data"][0])

    assert address(first.codes) in buffer_addresses(table["codes"])
    assert address(first.scales) in buffer_addresses(table["scales"])
    assert first.zero_points is not None
    assert address(first.zero_points) in buffer_addresses(table["zero_points"])
    result = quantize(table_of(layers), "int4")
    again = pa.table(result)
    for column in ("codes", "scales", "zero_points"):
        data = buffer_addresses(pa.table(result)[column])[-1]
        assert data == buffer_addresses(again[column])[-1]


def test_weights_are_read_where_they_lie() -> None:
    """64 MB of weights in: the process grows by the results and a megabyte."""
    code = """
import numpy as np, pyarrow as pa, quarrow as qr
values = pa.array(np.full(1 << 24, 0.5, np.float32))
rows = pa.FixedSizeListArray.from_arrays(values, 1 << 20).cast(pa.large_list(pa.float32()))
table = pa.table({"layer_name": [f"l{i}" for i in range(16)], "weights": rows})
def highest():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
qr.quantize_arrow(table.slice(0, 1), "int4").to_pyarrow()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = highest()
result = qr.quantize_arrow(table, "int4").to_pyarrow()
print(highest() - before, result.nbytes)
"""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no /proc to measure peaks with")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MALLOC_MMAP_THRESHOLD_": "131072", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    more, results = map(int, done.stdout.split())
    assert more <= results + (1 << 20)


def test_arrays_outlive_everything_else() -> None:
    layers = some_layers()
    expected = singles(layers)
    table = quantize(table_of(layers), "int4").to_pyarrow()
    codes, scales = table["codes"], table["scales"]
    kept = pa.table(qr.quantize_batch(layers, "int4"))
    del table
    gc.collect()
    junk = [np.full(5000, 255, np.uint8) for _ in range(100)]
    assert len(junk) == 100
    assert codes.to_pylist() == [q.codes.tobytes() for q in expected.values()]
    assert scales.to_pylist() == [q.scales.ravel().tolist() for q in expected.values()]
    assert_rows_are(kept, expected)


@pytest.mark.parametrize(
    "use",
    [
        lambda r: r.__arrow_c_stream__(),
        lambda r: r.__arrow_c_array__(),
        lambda r: pa.RecordBatchReader.from_stream(r).read_next_batch(),
        lambda r: pa.table(r)["codes"],
        pa.RecordBatchReader.from_stream,
        lambda r: r.__arrow_c_schema__(),
    ],
)
def test_what_is_dropped_early_is_freed(use: Callable[[Any], object]) -> None:
    """A leaked result of 2 MB in each of 300 rounds would be 600 MB."""
    layers = {"a": np.ones((1 << 21), np.float16)}
    table = table_of(layers)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

    for _ in range(5):
        use(quantize(table, "int8"))
    before = resident()
    for _ in range(300):
        use(quantize(table, "int8"))
    assert resident() - before < 60 << 20


def test_the_interpreter_may_end_while_a_consumer_holds_on() -> None:
    code = """
import numpy as np, pyarrow as pa, quarrow as qr
table = pa.table({"layer_name": ["a", "b"], "weights": [[1.0], [2.0]]})
reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1))
made = qr.quantize_arrow(reader, "int4", rules=lambda name: "int8")
stream = pa.RecordBatchReader.from_stream(made)
stream.read_next_batch()
q = qr.quantize(np.ones((2, 2)), "int8")
batch = pa.record_batch(qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape))
capsule = qr.quantize_arrow(table, "int4").__arrow_c_stream__()
import builtins
builtins.kept = (stream, batch, capsule)
print("end")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


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
    assert repr(quantize(table.to_reader(), "int4")) == "ArrowStream(0 batches made)"
