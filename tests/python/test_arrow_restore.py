# SPDX-License-Identifier: Apache-2.0
"""The way back of quantize_arrow."""

from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import quarrow as qr
from batch_layers import some_layers, weights

WRONG: Any = np.zeros(3)
FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("int4", {"group_size": 8}),
    ("int4", {"symmetric": True, "packed": False}),
    ("int8", {"symmetric": True, "scale_dtype": "float16"}),
    ("int8", {"group_size": "tensor"}),
    ("int2", {"scale_dtype": "bfloat16"}),
    ("int8_rowwise", {}),
]


def table_of(layers: dict[str, Any]) -> pa.Table:
    return pa.table(
        {
            "layer_name": list(layers),
            "weights": [w.ravel() for w in layers.values()],
            "shape": [list(w.shape) for w in layers.values()],
        }
    )


def check(restored: Any, layers: dict[str, Any], format_: str, dtype: str, **fields: Any) -> None:
    assert restored.column("layer_name").to_pylist() == list(layers)
    assert restored.column("shape").to_pylist() == [list(w.shape) for w in layers.values()]
    values = restored.column("weights").to_pylist()
    for (name, w), got in zip(layers.items(), values, strict=True):
        expected = qr.quantize(w, format_, name=name, **fields).dequantize(dtype)
        np.testing.assert_array_equal(np.array(got, dtype), expected.ravel())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("format_", "fields"), FORMATS)
def test_weights_come_back(format_: str, fields: dict[str, Any], dtype: str) -> None:
    layers = {**some_layers(5), "row": weights(77), "cube": weights(2, 3, 40)}
    layers |= {"no rows": weights(0, 4), "no columns": weights(3, 0)}
    result = qr.quantize_arrow(table_of(layers), format_, **fields)
    restored = qr.dequantize_arrow(result, dtype)
    assert isinstance(restored, pa.Table)
    restored.validate(full=True)
    check(restored, layers, format_, dtype, **fields)
    again = qr.quantize_arrow(restored, "int8")
    assert isinstance(again, qr.ArrowResult)
    assert again.stats.bytes_copied == 0


def sliced(result: Any, begin: int, count: int) -> pa.Table:
    return pa.table(result).slice(begin, count)


@pytest.mark.parametrize(
    "through",
    [
        pa.table,
        lambda result: sliced(result, 1, 3),
        lambda result: pa.concat_tables([sliced(result, 1, 2), sliced(result, 3, 1)]),
        lambda result: pl.from_arrow(pa.table(result)).slice(1, 3),
        lambda result: sliced(result, 1, 3).select([6, 5, 4, 3, 2, 1, 0]),
        lambda result: duckdb.arrow(pa.table(result)).limit(3, offset=1),
    ],
)
def test_through_other_libraries(through: Any) -> None:
    layers = some_layers(5)
    made = through(qr.quantize_arrow(table_of(layers), "int4", group_size=8))
    restored = qr.dequantize_arrow(made)
    if isinstance(restored, pa.RecordBatchReader):
        restored = restored.read_all()
    names = restored.column("layer_name").to_pylist()
    assert len(names) >= 3
    check(restored, {name: layers[name] for name in names}, "int4", "float32", group_size=8)


def test_types_of_spark() -> None:
    layers = some_layers(3)
    table = pa.table(qr.quantize_arrow(table_of(layers), "int4"))
    signed = table["zero_points"].cast(pa.list_(pa.int16()))
    table = table.set_column(3, "zero_points", signed)
    table = table.set_column(1, "codes", table["codes"].cast(pa.binary()))
    check(qr.dequantize_arrow(table), layers, "int4", "float32")


def test_a_batch_gives_a_batch_and_a_stream_a_stream() -> None:
    layers = some_layers(4)
    source = table_of(layers)
    batch = pa.table(qr.quantize_arrow(source, "int8")).to_batches()[0]
    restored = qr.dequantize_arrow(batch)
    assert isinstance(restored, pa.RecordBatch)
    check(restored, layers, "int8", "float32")
    halves = pa.Table.from_batches(source.to_batches(max_chunksize=2)).to_reader(max_chunksize=2)
    stream = qr.dequantize_arrow(qr.quantize_arrow(halves, "int8"))
    assert isinstance(stream, pa.RecordBatchReader)
    batches = list(stream)
    assert [each.num_rows for each in batches] == [2, 2]
    check(pa.Table.from_batches(batches), layers, "int8", "float32")


def test_results_of_batches_and_single_tensors() -> None:
    layers = some_layers(3)
    check(qr.dequantize_arrow(qr.quantize_batch(layers, "int4")), layers, "int4", "float32")
    q = qr.quantize(weights(3, 8), "int8")
    restored = qr.dequantize_arrow(q)
    assert restored.column("layer_name").to_pylist() == [None]
    assert restored.column("weights").to_pylist() == [q.dequantize().ravel().tolist()]
    assert qr.dequantize_arrow(qr.quantize_batch({}, "int8")).num_rows == 0
    assert qr.dequantize_arrow(qr.quantize_batch(layers, "int4").__arrow_c_stream__()).read_all()


def stored(**replaced: Any) -> pa.Table:
    """Two rows, the second of which has other parts."""
    table = pa.table(qr.quantize_arrow(table_of({"a": weights(2, 4), "b": weights(2, 4)}), "int8"))
    for name, value in replaced.items():
        column = table[name].to_pylist()
        column[1] = value
        index = table.column_names.index(name)
        table = table.set_column(index, name, pa.array(column, table.schema.field(name).type))
    return table


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"codes": b"123"}, "row 1: .*codes must be"),
        ({"codes": b""}, "row 1: .*codes must be"),
        ({"scales": [1.0]}, "row 1: .*scales must be"),
        ({"scales": None}, "row 1: 'scales' is null"),
        ({"scales": [1.0, None]}, "row 1: 'scales' is null, or holds a null"),
        ({"zero_points": None}, "row 1: 'zero_points' is null"),
        ({"shape": [2, 5]}, "row 1: "),
        ({"shape": []}, "row 1: .*shape must be"),
        ({"shape": [-2, 4]}, "row 1: .*shape must be"),
        ({"shape": [1 << 62, 4]}, "row 1: "),
        ({"format": "int3"}, "row 1: .*int3"),
        ({"format": None}, None),
        ({"params": "{"}, "row 1: "),
        ({"params": "[]"}, "row 1: .*params"),
        ({"params": '{"bits": 4}'}, "row 1: .*bits"),
        ({"params": '{"dtype": "int8"}'}, "row 1: "),
        ({"params": '{"name": "int4"}'}, "row 1: params has the key 'name'"),
        ({"params": '{"\\ud800": 1}'}, "row 1: params has the key"),
        ({"params": "[" * 200_000}, "row 1: params must be a JSON object"),
    ],
)
def test_parts_that_do_not_fit(replaced: dict[str, Any], message: str | None) -> None:
    if message is None:
        with pytest.raises((qr.InvalidInputError, pa.ArrowInvalid, ValueError)):
            qr.dequantize_arrow(stored(**replaced))
        return
    with pytest.raises(qr.InvalidInputError, match=message):
        qr.dequantize_arrow(stored(**replaced))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: qr.dequantize_arrow(pa.table({"a": [1]})),
            "column 'layer_name': there is no",
        ),
        (lambda: qr.dequantize_arrow([1]), "got list; pass a pyarrow Table"),
        (lambda: qr.dequantize_arrow(stored(), "bfloat16"), "dtype must be 'float32' or"),
        (lambda: qr.dequantize_arrow(stored(), WRONG), "dtype must be 'float32' or"),
        (lambda: qr.dequantize_arrow(pa.array([1, 2])), "cannot be read"),
        (
            lambda: qr.dequantize_arrow(stored().set_column(2, "scales", pa.array(["x", "y"]))),
            "column 'scales': got the type string",
        ),
    ],
)
def test_what_is_no_stored_table(call: Any, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=message):
        call()


def test_parts_are_read_where_they_lie() -> None:
    import tracemalloc

    result = qr.quantize_arrow(table_of({"a": weights(64, 1 << 14)}), "int8")
    table = pa.table(result)
    qr.dequantize_arrow(table)  # what is imported is not counted
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    restored = qr.dequantize_arrow(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    values = 4 * 64 * (1 << 14)
    assert pa.total_allocated_bytes() - before < 4096
    assert peak < values + (1 << 20)
    assert restored.num_rows == 1


def test_calls_are_counted_as_one() -> None:
    result = qr.quantize_arrow(table_of(some_layers(3)), "int4")
    qr.reset_metrics()
    qr.dequantize_arrow(result)
    done = qr.metrics()
    assert (done["dequantize_arrow"].calls, done["dequantize_arrow"].layers) == (1, 3)
    assert done["dequantize_batch"].calls == 0
    with pytest.raises(qr.InvalidInputError):
        qr.dequantize_arrow([1])
    assert qr.metrics()["dequantize_arrow"].errors == 1


def test_an_empty_layer_costs_nothing_whatever_it_says() -> None:
    table = stored(shape=[1 << 59, 0], codes=b"", scales=[], zero_points=[])
    restored = qr.dequantize_arrow(table)
    assert restored.column("shape").to_pylist() == [[2, 4], [1 << 59, 0]]
    assert restored.column("weights").to_pylist()[1] == []


def test_an_exception_of_the_code_behind_a_stream_is_its_own() -> None:
    table = stored()

    def batches() -> Any:
        yield from table.to_batches()
        raise KeyboardInterrupt

    reader = pa.RecordBatchReader.from_batches(table.schema, batches())
    with pytest.raises(KeyboardInterrupt):
        list(qr.dequantize_arrow(reader))


def test_each_batch_of_a_stream_is_a_call() -> None:
    batch = pa.table(qr.quantize_arrow(table_of(some_layers(2)), "int8")).to_batches()[0]
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch] * 3)
    qr.reset_metrics()
    list(qr.dequantize_arrow(reader))
    done = qr.metrics()["dequantize_arrow"]
    assert (done.calls, done.layers) == (3, 6)


def test_a_row_of_a_stream_is_counted_from_its_start() -> None:
    good, bad = stored().to_batches()[0], stored(scales=[1.0]).to_batches()[0]
    reader = pa.RecordBatchReader.from_batches(good.schema, [good, bad])
    restored = iter(qr.dequantize_arrow(reader))
    assert next(restored).num_rows == 2
    with pytest.raises(qr.InvalidInputError, match=r"row 3: .*scales must be"):
        next(restored)


def test_damaged_offsets_are_refused() -> None:
    table = stored()
    numbers = pa.array([1.0, 1.0, 1.0, 1.0], pa.float32())
    for offsets in ([0, 3, 2], [2, 0, 2]):
        buffers = [None, pa.array(offsets, pa.int32()).buffers()[1]]
        lists = pa.Array.from_buffers(pa.list_(pa.float32()), 2, buffers, children=[numbers])
        with pytest.raises(qr.InvalidInputError, match=r"column .scales.|damaged"):
            qr.dequantize_arrow(table.set_column(2, "scales", lists))
