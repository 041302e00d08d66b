# SPDX-License-Identifier: Apache-2.0
"""Arrow streams, and the libraries that make and take Arrow data."""

import subprocess
import sys
from collections.abc import Iterator
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
from arrow_layers import assert_rows_are, quantize, reader_of, singles, some_layers, table_of
from workload import HANG_SECONDS


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


def test_a_stream_is_read_once_at_a_time() -> None:
    """Its producer is no place for two: here its own code asks again."""
    layers = some_layers()
    refusals: list[Exception] = []
    streams: list[Any] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in table_of(layers).to_batches(max_chunksize=2):
            with pytest.raises(qr.InvalidInputError, match="is being read") as failure:
                next(streams[0])
            refusals.append(failure.value)
            yield batch

    reader = pa.RecordBatchReader.from_batches(table_of({}).schema, batches())
    streams.append(iter(quantize(reader, "int4")))
    assert [len(batch) for batch in streams[0]] == [2, 2, 2]
    assert len(refusals) == 3


def test_an_exception_that_cannot_be_shown() -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    def rules(_name: str) -> str:
        raise SilentError

    stream = quantize(reader_of(table_of(some_layers()), 2), "int4", rules=rules)
    with pytest.raises(pa.ArrowInvalid, match="cannot be shown"):
        pa.table(stream)


def test_skipped_layers_of_each_batch() -> None:
    layers = some_layers()
    layers["l1"][0, 0] = np.nan
    stream = quantize(reader_of(table_of(layers), 3), "int4", on_error="skip")
    assert [(len(batch), list(batch.errors)) for batch in stream] == [(2, ["l1"]), (3, [])]


@pytest.mark.memory
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
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
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


def test_none_of_them_is_required() -> None:
    """Without pyarrow and polars: nanoarrow in, nanoarrow out."""
    code = """
import sys
sys.modules["pyarrow"] = sys.modules["polars"] = sys.modules["duckdb"] = None
import nanoarrow as na, quarrow as qr
names = na.c_array(["a", "b"], na.string())
offsets, values = na.c_buffer([0, 1, 3], na.int32()), na.c_array([1.0, 2.0, 3.0], na.float64())
lists = na.list_(na.float64())
weights = na.c_array_from_buffers(lists, 2, [None, offsets], children=[values])
fields = {"layer_name": na.string(), "weights": lists}
batch = na.c_array_from_buffers(na.struct(fields), 2, [None], children=[names, weights])
rows = na.ArrayStream(qr.quantize_arrow(batch, "int8")).read_all().to_pylist()
print([row["codes"] for row in rows])
try:
    qr.quantize_arrow(batch, "int8").to_pyarrow()
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    codes, missing = done.stdout.splitlines()
    assert codes == str([b"\xff", b"\xaa\xff"])
    assert missing == "this needs pyarrow: python -m pip install 'quarrow[arrow]'"


def test_ipc_files_readers_and_datasets(tmp_path: Path) -> None:
    layers = some_layers()
    table = table_of(layers)
    path = tmp_path / "layers.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    expected = singles(layers)
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as reader:
        assert_rows_are(quantize(reader.read_all(), "int4").to_pyarrow(), expected)
    dataset = pyarrow.dataset.dataset(path, format="arrow")
    for source in (dataset.scanner(), dataset.scanner().to_reader()):
        result = quantize(source, "int4")
        assert isinstance(result, qr.ArrowStream)
        assert_rows_are(result.to_pyarrow(), expected)
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
