# SPDX-License-Identifier: Apache-2.0
"""Arrow data: quantized in place, and what moving it costs without us."""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.fixtures import SIZES, Array, copies, copy_id, matrix_bytes, weights
from benchmarks.harness.case import Case, Job, Suite
from benchmarks.verification import check_quantized, require

ABOUT = (
    "One layer of float32 as a row of a record batch. 'cdata' hands the batch from pyarrow to"
    " pyarrow through the C data interface; 'ipc write' and 'ipc read' go through a stream in"
    " memory, 'round trip' does both. These move or alias bytes: only the variants with 'touch'"
    " read every value, and only they say anything about bytes a second. 'quantize' reads the"
    " batch in place and returns Arrow data (int4, groups of 128), beside 'numpy' for the same"
    " values; 'quantize from ipc' reads the stream first. 'small' is a layer of 4,096 values:"
    " our share of an import is what its call takes beyond the numpy call and pyarrow's own"
    " export."
)
INSTALLED = importlib.util.find_spec("pyarrow") is not None
SMALL_CALLS = 200


def pyarrow() -> Any:
    """Return the module."""
    return importlib.import_module("pyarrow")


def record_batch(w: Array) -> Any:
    """Return one layer as a row, over the memory of `w`."""
    pa = pyarrow()
    offsets = pa.array([0, w.size], pa.int64())
    values = pa.LargeListArray.from_arrays(offsets, pa.array(w.ravel()))
    return pa.record_batch({"layer_name": ["a"], "weights": values})


def _stream(batch: Any) -> Any:
    pa = pyarrow()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _read(stream: Any) -> Any:
    return pyarrow().ipc.open_stream(stream).read_next_batch()


def _values(batch: Any) -> Array:
    values: Array = batch.column(1).values.to_numpy(zero_copy_only=True)
    return values


def _through_cdata(batch: Any) -> Any:
    return pyarrow().RecordBatch._import_from_c_capsule(*batch.__arrow_c_array__())


def _transport_job(make: Callable[[Any], Callable[[], Any]], megabytes: int, *, touch: bool) -> Job:
    w = weights(megabytes)
    move = make(record_batch(w))

    def moved() -> object:
        return move()

    def touched() -> object:
        batch = move()
        return batch, float(np.add.reduce(_values(batch)))

    def verify(result: Any) -> None:
        batch = result[0] if touch else result
        if isinstance(batch, pyarrow().Buffer):
            batch = _read(batch)
        require(np.array_equal(_values(batch), w.ravel()), "other values arrived")

    return Job(touched if touch else moved, verify, lambda _: [])


def _cdata(batch: Any) -> Callable[[], Any]:
    return partial(_through_cdata, batch)


def _write(batch: Any) -> Callable[[], Any]:
    return partial(_stream, batch)


def _read_of(batch: Any) -> Callable[[], Any]:
    return partial(_read, _stream(batch))


def _round_trip(batch: Any) -> Callable[[], Any]:
    return lambda: _read(_stream(batch))


# Name, words, how, and whether reading every value afterwards means anything.
TRANSPORTS = (
    ("cdata", "through the C data interface", _cdata, True),
    ("ipc_write", "written to a stream", _write, False),
    ("ipc_read", "read from a stream", _read_of, True),
    ("ipc_roundtrip", "written to a stream and read", _round_trip, True),
)


def _rows_of(result: Any) -> Any:
    return result.to_pyarrow().to_pylist()


def _check_rows(result: Any, w: Array) -> None:
    (row,) = _rows_of(result)
    q = qr.quantize(w.reshape(1, -1), "int4")
    check_quantized(q, w.reshape(1, -1))
    require(row["codes"] == q.codes.tobytes(), "codes differ from those of the array")
    require(result.stats.bytes_copied == 0, "the column was copied")


def _quantize_job(megabytes: int, *, from_stream: bool) -> Job:
    w = weights(megabytes)
    batch = record_batch(w)
    stream = _stream(batch) if from_stream else None

    def call() -> object:
        given: Any = batch if stream is None else _read(stream)
        return qr.quantize_arrow(given, "int4", threads=2)

    return Job(call, partial(_check_rows, w=w))


def _numpy_job(megabytes: int) -> Job:
    w = weights(megabytes).reshape(1, -1)
    return Job(
        lambda: qr.quantize(w, "int4", threads=2),
        lambda result: check_quantized(result, w),
    )


@functools.cache
def _small() -> tuple[Array, Any]:
    w = np.random.default_rng(0).standard_normal((1, 4096), np.float32)
    return w, record_batch(w)


def _small_arrow_job() -> Job:
    _, batch = _small()

    def call() -> object:
        result: Any = qr.quantize_arrow(batch, "int4")
        return result, result.__arrow_c_array__()

    return Job(call, lambda result: _check_rows(result[0], _small()[0]), lambda r: [r[0].stats])


def _small_numpy_job() -> Job:
    w, _ = _small()
    return Job(lambda: qr.quantize(w, "int4"), lambda result: check_quantized(result, w))


def _export_job() -> Job:
    _, batch = _small()
    return Job(batch.__arrow_c_array__, stats=lambda _: [])


def _transports(megabytes: int) -> Iterator[Case]:
    for name, words, make, touchable in TRANSPORTS:
        for touch in (False, True) if touchable else (False,):
            copied = (name != "cdata" and "write" in name) or "roundtrip" in name or touch
            yield Case(
                id=f"{name}_{megabytes}mb" + "_touch" * touch,
                title=f"{megabytes} MB {words}" + ", every value read" * touch,
                prepare=partial(_transport_job, make, megabytes, touch=touch),
                role="control",
                package="pyarrow",
                line=name.replace("_", " ") + ", touched" * touch,
                size=megabytes,
                bytes=matrix_bytes(megabytes) if copied else 0,
                calls=1 if copied else 100,
                copy=copy_id(megabytes),
            )


def _quantized(megabytes: int) -> Iterator[Case]:
    case = partial(
        Case,
        size=megabytes,
        bytes=matrix_bytes(megabytes),
        threads=2,
        copy=copy_id(megabytes),
        job=f"int4 of a column, {megabytes} MB",
    )
    yield case(
        id=f"quantize_{megabytes}mb",
        title=f"quantize_arrow of a {megabytes} MB column",
        prepare=partial(_quantize_job, megabytes, from_stream=False),
        line="quantize",
        memory=matrix_bytes(megabytes) // 8 + matrix_bytes(megabytes) // 128 // 4 * 5,
    )
    yield case(
        id=f"quantize_ipc_{megabytes}mb",
        title=f"quantize_arrow of a {megabytes} MB column read from a stream",
        prepare=partial(_quantize_job, megabytes, from_stream=True),
        line="quantize from ipc",
    )
    yield case(
        id=f"numpy_{megabytes}mb",
        title=f"quantize of the same {megabytes} MB as an array",
        prepare=partial(_numpy_job, megabytes),
        line="numpy",
    )


def _cases() -> Iterator[Case]:
    yield from copies()
    for megabytes in SIZES:
        yield from _transports(megabytes)
        yield from _quantized(megabytes)
    small = partial(Case, calls=SMALL_CALLS)
    yield small(
        id="small_arrow",
        title="quantize_arrow of 4,096 values and the export of its result",
        prepare=_small_arrow_job,
    )
    yield small(
        id="small_numpy", title="quantize of the same 4,096 values", prepare=_small_numpy_job
    )
    yield small(
        id="small_export",
        title="pyarrow's export of 4,096 values",
        prepare=_export_job,
        role="control",
        package="pyarrow",
    )


def suite() -> Suite:
    """Return the suite."""
    missing = {} if INSTALLED else {"pyarrow": "not installed: the suite is empty"}
    cases = tuple(_cases()) if INSTALLED else ()
    return Suite("arrow_ipc", "Arrow data", ABOUT, cases, missing)
