# SPDX-License-Identifier: Apache-2.0
"""Arrow tables of quantized layers, and the weights that they stand for."""

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from quarrow import _core
from quarrow.arrow import exported, is_stream, pyarrow
from quarrow.exceptions import InvalidInputError, QuarrowError
from quarrow.file_arguments import check_word
from quarrow.safe_repr import safe_repr
from quarrow.stored_dtypes import numpy_dtype

if TYPE_CHECKING:
    import pyarrow as pa

_DTYPES = ("float32", "float16")


def dequantize_arrow(
    source: Any, dtype: str = "float32", *, threads: int | None = None
) -> "pa.Table | pa.RecordBatch | pa.RecordBatchReader":
    r"""Return the weights of quantized layers that are rows of Arrow data.

    The way back of ``quantize_arrow``: what it returns can be quantized again. It takes pyarrow,
    ``pip install 'quarrow[arrow]'``. Codes, scales and zero points are read where they lie, but for
    columns that were cast to other types meanwhile.

    Parameters
    ----------
    source : object with ``__arrow_c_stream__`` or ``__arrow_c_array__``, or a capsule of one
        With the columns of ``ArrowResult``, in any order, others beside them: a result of
        ``quantize_arrow`` or ``quantize_batch``, or what another library made of one.
    dtype : "float32" or "float16"
        Of the weights. Arrow has no bfloat16.
    threads : int, optional
        At most so many threads.

    Returns
    -------
    pyarrow.RecordBatch, pyarrow.RecordBatchReader or pyarrow.Table
        For a record batch another one, for a stream a stream, batch by batch in constant memory,
        and for all else a table; with the columns ``layer_name`` (string), ``weights``
        (large_list) and ``shape`` (list of int64).

    Raises
    ------
    ImportError
        pyarrow is not installed.
    InvalidInputError
        A column is missing or of another type, or the parts of a layer do not fit together.

    Examples
    --------
    >>> import pyarrow as pa, quarrow as qr
    >>> table = pa.table({"layer_name": ["a"], "weights": [[0.0, 1.0, 15.0]]})
    >>> qr.dequantize_arrow(qr.quantize_arrow(table, "int4")).column("weights").to_pylist()
    [[0.0, 1.0, 15.0]]
    """
    pa = pyarrow()
    try:
        check_word("dtype", dtype, *_DTYPES)
        reader = None if isinstance(source, pa.RecordBatch) else _reader(source)
        _check_columns(source.schema if reader is None else reader.schema)
    except QuarrowError:
        # An error of this call, though none of its batches was reached.
        with _core.CallRecord("dequantize_arrow"):
            raise
    if reader is not None and is_stream(source):
        made = _each(reader, dtype, threads)
        return pa.RecordBatchReader.from_batches(_schema(dtype), made)
    with _core.CallRecord("dequantize_arrow"):
        if reader is None:
            return _restored(source, 0, dtype, threads)
        batches = [_restored(batch, first, dtype, threads) for first, batch in _read(reader)]
        return pa.Table.from_batches(batches, _schema(dtype))


def _each(
    reader: "pa.RecordBatchReader", dtype: str, threads: int | None
) -> Iterator["pa.RecordBatch"]:
    for first, batch in _read(reader):
        with _core.CallRecord("dequantize_arrow"):
            made = _restored(batch, first, dtype, threads)
        yield made


def _read(reader: "pa.RecordBatchReader") -> Iterator[tuple[int, "pa.RecordBatch"]]:
    """Yield the batches, each with the number of its first row among all."""
    pa = pyarrow()
    first = 0
    try:
        for batch in reader:
            yield first, batch
            first += batch.num_rows
    except pa.ArrowInvalid as error:
        msg = f"the Arrow data cannot be read: {error}"
        raise InvalidInputError(msg) from error


def _reader(source: Any) -> "pa.RecordBatchReader":
    pa = pyarrow()
    # As it is: an exception of the code behind it would not get through the interface of C.
    if isinstance(source, pa.RecordBatchReader):
        return source
    if isinstance(source, pa.Table):
        return source.to_reader()
    capsules = exported(source)
    try:
        if isinstance(capsules, tuple):
            batch = pa.RecordBatch._import_from_c_capsule(*capsules)
            return pa.RecordBatchReader.from_batches(batch.schema, [batch])
        return pa.RecordBatchReader._import_from_c_capsule(capsules)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError) as error:
        msg = f"the Arrow data cannot be read: {error}; pass a table or a record batch"
        raise InvalidInputError(msg) from error


def _schema(dtype: str) -> "pa.Schema":
    pa = pyarrow()
    weights = pa.large_list(pa.from_numpy_dtype(np.dtype(dtype)))
    fields = {"layer_name": pa.string(), "weights": weights, "shape": pa.list_(pa.int64())}
    return pa.schema(fields)


def _stored_types() -> dict[str, "pa.DataType"]:
    """Return the type in which each column is read; others are cast to it."""
    pa = pyarrow()
    floats = pa.large_list(pa.float32())
    return {
        "layer_name": pa.string(),
        "codes": pa.large_binary(),
        "scales": floats,
        "zero_points": pa.large_list(pa.uint8()),
        "shape": pa.large_list(pa.int64()),
        "format": pa.string(),
        "params": pa.string(),
        "tensor_scale": pa.float32(),
        "scale_codes": pa.large_binary(),
        "channel_scales": floats,
        "codebook": floats,
    }


# What every format has, and what those had that were there first: data without the other columns
# are whole.
_REQUIRED = ("layer_name", "codes", "scales", "zero_points", "shape", "format", "params")
_DESCRIPTIONS = ("layer_name", "shape", "format", "params")


def _check_columns(schema: "pa.Schema") -> None:
    for name in _stored_types():
        count = schema.names.count(name)
        if count > 1 or (count == 0 and name in _REQUIRED):
            found = "there is no such column" if count == 0 else "there are two columns of it"
            msg = f"column {name!r}: {found}; the columns are: {', '.join(schema.names)}"
            raise InvalidInputError(msg)


def _restored(
    batch: "pa.RecordBatch", first: int, dtype: str, threads: int | None
) -> "pa.RecordBatch":
    pa = pyarrow()
    rows = _Rows(batch, first)
    shapes = []
    tensors = {}
    for row in range(batch.num_rows):
        shape, tensor = rows.layer(row)
        shapes.append(shape)
        if tensor is not None:
            tensors[str(row)] = tensor
    counts = [math.prod(shape) for shape in shapes]
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    values = np.empty(int(offsets[-1]), dtype)
    out = {
        row: values[offsets[int(row)] : offsets[int(row) + 1]].reshape(q.shape)
        for row, q in tensors.items()
    }
    _core.dequantize_batch(tensors, dtype, out, threads=threads)
    weights = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
    columns = [rows.names, weights, pa.array(shapes, pa.list_(pa.int64()))]
    return pa.RecordBatch.from_arrays(columns, schema=_schema(dtype))


class _Rows:
    """The layers of a record batch."""

    def __init__(self, batch: "pa.RecordBatch", first: int) -> None:
        self._first = first
        try:
            batch.validate()
        except pyarrow().ArrowInvalid as error:
            msg = f"the Arrow data are damaged: {error}"
            raise InvalidInputError(msg) from error
        names = batch.schema.names
        columns = {
            name: _cast(batch, name, kind)
            for name, kind in _stored_types().items()
            if name in names
        }
        self.names = columns["layer_name"]
        self._shape = columns["shape"]
        self._format = columns["format"]
        self._params = columns["params"]
        self._parts = {
            name: column for name, column in columns.items() if name not in _DESCRIPTIONS
        }
        self._formats: dict[tuple[str, str], tuple[_core.Format, str]] = {}

    def layer(self, row: int) -> tuple[list[int], _core.QuantizedTensor | None]:
        """Return the shape of a row, and its layer over the memory of the batch.

        A layer without elements is none: whatever a row says of its size, it has no values.
        """
        name = self.names[row].as_py()
        try:
            shape = self._list("shape", self._shape, row).tolist()
            if not shape or min(shape) < 0:
                msg = f"shape must be at least one whole number from 0, not {shape}"
                raise ValueError(msg)
            format, dtype = self._format_of(row)
            if 0 in shape:
                return shape, None
            parts = self._parts_of(row, format, shape)
            return shape, _core.tensor_of_parts(parts, format, shape, dtype, name)
        except (QuarrowError, ValueError) as error:
            msg = f"row {self._first + row}: {error}"
            raise InvalidInputError(msg, name=name) from error

    def _format_of(self, row: int) -> tuple[_core.Format, str]:
        name, params = self._format[row].as_py(), self._params[row].as_py()
        known = self._formats.get((name, params))
        if known is None:
            if not (isinstance(name, str) and isinstance(params, str)):
                msg = f"format and params must be texts, not {name!r} and {params!r}"
                raise ValueError(msg)
            fields = _parsed(params)
            dtype = fields.pop("dtype", "float32")
            unknown = set(fields) - set(_core.Format(name).fields()) - {"seed"}
            if unknown:
                msg = f"params has the key {min(unknown)!r}, which {name} does not know"
                raise ValueError(msg)
            known = self._formats[name, params] = (_core.Format(name, **fields), dtype)
        return known

    def _parts_of(
        self, row: int, format: _core.Format, shape: list[int]
    ) -> dict[str, npt.NDArray[Any]]:
        rows = shape[0] if len(shape) > 1 else 1
        left = {name for name, column in self._parts.items() if column[row].is_valid}
        parts = {}
        for name, stored, wanted in _core.format_parts(format, shape):
            is_wide = name == "scales" and stored not in ("F32", "F16")
            column = "scale_codes" if is_wide else name
            if column not in left:
                msg = f"{column!r} is null"
                raise ValueError(msg)
            left.remove(column)
            values = self._values(column, row, stored)
            fits = values.size == math.prod(wanted)
            parts[name] = values.reshape(wanted if fits else _matrix(values, rows))
        if left:
            msg = f"{min(left)!r} must be null: {format.name} has none"
            raise ValueError(msg)
        return parts

    def _values(self, name: str, row: int, stored: str) -> npt.NDArray[Any]:
        column = self._parts[name]
        if name == "tensor_scale":
            return np.array(column[row].as_py(), np.float32)
        if name in ("codes", "scale_codes"):
            data = np.frombuffer(column[row].as_buffer(), np.uint8)
            dtype = numpy_dtype(stored)
            return data if dtype is None else data.view(dtype)
        values = self._list(name, column, row)
        return values.astype(np.float16) if stored == "F16" else values

    def _list(self, name: str, column: Any, row: int) -> npt.NDArray[Any]:
        values = column[row].values
        if values is None or values.null_count:
            msg = f"{name!r} is null, or holds a null"
            raise ValueError(msg)
        array: npt.NDArray[Any] = values.to_numpy(zero_copy_only=True)
        return array


def _parsed(params: str) -> dict[str, Any]:
    try:
        fields = json.loads(params)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        msg = f"params must be a JSON object, not {safe_repr(params)}"
        raise ValueError(msg)
    return fields


def _matrix(values: npt.NDArray[Any], rows: int) -> tuple[int, int]:
    """Return the shape of so many rows, or of one; what does not fit is told by who reads it."""
    return (rows, values.size // rows) if rows and values.size % rows == 0 else (1, values.size)


def _cast(batch: "pa.RecordBatch", name: str, kind: "pa.DataType") -> Any:
    pa = pyarrow()
    column = batch.column(name)
    try:
        column.validate(full=True)
        return column if column.type == kind else column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        msg = f"column {name!r}: got the type {column.type}, which cannot be read: {error}"
        raise InvalidInputError(msg) from error
