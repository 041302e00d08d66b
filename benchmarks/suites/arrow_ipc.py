# SPDX-License-Identifier: Apache-2.0
"""Arrow data.

One layer of float32 as a row of a record batch. 'cdata' hands the batch from pyarrow to pyarrow
through the C data interface; 'ipc write' and 'ipc read' go through a stream in memory, 'round trip'
does both. These move or alias bytes: only the variants with 'touch' read every value, and only they
say anything about bytes a second. 'quantize' reads the batch in place and returns Arrow data (int4,
groups of 128), beside 'numpy' for the same values; 'quantize from ipc' reads the stream first.
'int8' makes int8 of one scale and hands the result to pyarrow, beside 'lists', where the same
values leave Arrow by to_pylist and go through the list call to the same codes. 'small' is a layer
of 4,096 values: our share of an import is what its call takes beyond the numpy call and pyarrow's
own export.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.cases import case_of_size, copies, missing_copy
from benchmarks.fixtures import SIZES, Array, column, is_installed, matrix_bytes, pyarrow, weights
from benchmarks.harness.case import Case, Job, no_stats
from benchmarks.jobs import list_job, quantize_job
from benchmarks.verification import check_quantized, require

INSTALLED = is_installed("pyarrow")
LISTS_SECONDS_PER_MB = 0.02
Move = Callable[[], Any]


def _row(w: Array) -> Any:
    """Return one layer as a row, over the memory of `w`."""
    return column({"a": w.ravel()})


def _write(batch: Any) -> Any:
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


def _transport(megabytes: int, make: Callable[[Any], Move], *, touch: bool) -> Job:
    w = weights(megabytes)
    move = make(_row(w))

    def touched() -> object:
        batch = move()
        return batch, float(np.add.reduce(_values(batch)))

    def verify(result: Any) -> None:
        batch = result[0] if touch else result
        batch = _read(batch) if isinstance(batch, pyarrow().Buffer) else batch
        require(np.array_equal(_values(batch), w.ravel()), "other values arrived")

    return Job(touched if touch else move, verify, no_stats)


def _quantize(
    w: Array,
    format_: str = "int4",
    *,
    stream: bool = False,
    export: Callable[[Any], object] = id,
    **fields: Any,
) -> Job:
    """Return the job of one row, read from a stream or not, and of what is done with its result."""
    given = _write(_row(w)) if stream else _row(w)

    def call() -> object:
        batch: Any = _read(given) if stream else given
        result = qr.quantize_arrow(batch, format_, **fields)
        return result, export(result)

    def verify(returned: Any) -> None:
        result, q = returned[0], qr.quantize(w, format_, **fields)
        (row,) = result.to_pyarrow().to_pylist()
        check_quantized(q, w)
        require(row["codes"] == q.codes.tobytes(), "codes differ from those of the array")
        require(row["scales"] == q.scales.ravel().tolist(), "scales differ from the array's")
        require(result.stats.bytes_copied == 0, "the column was copied")

    return Job(call, verify, lambda returned: [returned[0].stats], whole=True)


def _sized(megabytes: int, format_: str = "int4", **how: Any) -> Job:
    return _quantize(weights(megabytes), format_, threads=2, **how)


def _int8(megabytes: int) -> Job:
    return _sized(megabytes, "int8", group_size="tensor", export=lambda made: made.to_pyarrow())


def _lists(megabytes: int) -> Job:
    """Return the job from the same batch to the same codes through lists."""
    w = weights(megabytes).ravel()
    batch = _row(w)

    def call() -> object:
        lists = dict(zip(*(batch.column(i).to_pylist() for i in (0, 1)), strict=True))
        return qr.legacy.quantize(lists, bit_width=8)

    return Job(call, list_job({"a": w}).verify)


def _numpy(megabytes: int) -> Job:
    return quantize_job([weights(megabytes).reshape(1, -1)], "int4", threads=2)


def _small() -> Array:
    return weights(4)[:4].reshape(1, -1)


# The name, the words, from a batch to the move, whether bytes are copied, whether to read them.
TRANSPORTS: tuple[tuple[str, str, Callable[[Any], Move], bool, tuple[bool, ...]], ...] = (
    ("cdata", "through the C data interface", lambda b: partial(_through_cdata, b),
     False, (False, True)),
    ("ipc_write", "written to a stream", lambda b: partial(_write, b), True, (False,)),
    ("ipc_read", "read from a stream", lambda b: partial(_read, _write(b)), False, (False, True)),
    ("ipc_roundtrip", "written to a stream and read", lambda b: lambda: _read(_write(b)),
     True, (False, True)),
)  # fmt: skip
# The name, the words, from MB to the job, the chart, the largest size.
QUANTIZED = (
    ("quantize", "quantize_arrow of a column", _sized, "int4", 400),
    ("quantize_ipc", "quantize_arrow of a column read from a stream",
     partial(_sized, stream=True), "int4", 400),
    ("numpy", "quantize of the same as an array", _numpy, "int4", 400),
    ("int8", "quantize_arrow of a column, int8 of one scale, to pyarrow", _int8,
     "int8 of one scale", 40),
    ("lists", "to_pylist and legacy.quantize of a column", _lists, "int8 of one scale", 40),
)  # fmt: skip
SMALL: tuple[tuple[str, str, Callable[[], Job]], ...] = (
    ("arrow", "quantize_arrow and the export of its result",
     lambda: _quantize(_small(), export=lambda result: result.__arrow_c_array__())),
    ("numpy", "quantize", lambda: quantize_job([_small()], "int4")),
    ("export", "pyarrow's export", lambda: Job(_row(_small()).__arrow_c_array__, stats=no_stats)),
)  # fmt: skip


def _cases_of(megabytes: int) -> Iterator[Case]:
    for name, words, make, copied, touches in TRANSPORTS:
        for touch in touches:
            rate = {} if copied or touch else {"bytes": 0, "calls": 100}
            yield case_of_size(
                megabytes,
                name + "_{}mb" + "_touch" * touch,
                f"{{}} MB {words}" + ", every value read" * touch,
                partial(_transport, make=make, touch=touch),
                **rate,
                role="control",
                package="pyarrow",
                chart="" if rate else "moving alone",
                line=name.replace("_", " ") + ", touched" * touch,
            )
    bytes_ = matrix_bytes(megabytes)
    for name, words, job, chart, largest in QUANTIZED:
        if megabytes > largest:
            continue
        lists = name == "lists"
        yield case_of_size(
            megabytes,
            name + "_{}mb",
            f"{words}, {{}} MB",
            job,
            role="legacy" if lists else "ours",
            chart=chart,
            line=name.replace("_", " "),
            threads=1 if lists else 2,
            job=f"{chart}, a column of {{}} MB",
            legacy="lists_{}mb" if name == "int8" else "",
            seconds=LISTS_SECONDS_PER_MB * megabytes * lists,
            memory=bytes_ // 8 + bytes_ // 128 // 4 * 5 if name == "quantize" else None,
        )


def cases() -> Iterator[Case]:
    if not INSTALLED:
        return
    yield from copies()
    for megabytes in SIZES:
        yield from _cases_of(megabytes)
    for name, words, prepare in SMALL:
        ours = name != "export"
        yield Case(
            id=f"small_{name}",
            title=f"4,096 values: {words}",
            prepare=prepare,
            role="ours" if ours else "control",
            package="quarrow" if ours else "pyarrow",
            calls=200,
        )


def missing() -> dict[str, str]:
    absent = {} if INSTALLED else {"pyarrow": "not installed: the suite is empty"}
    return absent | missing_copy()
