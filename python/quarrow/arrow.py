# SPDX-License-Identifier: Apache-2.0
"""Arrow tables and streams in, Arrow tables and streams out."""

import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from quarrow import _core
from quarrow.counts import counted
from quarrow.descriptions import CallStats
from quarrow.exceptions import InvalidInputError, QuarrowError
from quarrow.file_arguments import Progress, check_options, check_word, is_text
from quarrow.layer_rules import Rules, as_format, format_chooser
from quarrow.safe_repr import safe_repr

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowResult:
    """Quantized layers as Arrow data; any Arrow library can take it, any number of times.

    The columns are ``layer_name`` (string), ``codes`` (large_binary), ``scales`` (list of float32),
    ``zero_points`` (list of uint8, null when the format has none), ``shape`` (list of int64),
    ``format`` (string) and ``params`` (string, the format's fields and the dtype before as JSON).
    Codes, scales and zero points lie where the engine wrote them; nothing is copied.
    """

    def __init__(self, rows: _core.ArrowRows) -> None:
        self._rows = rows

    @property
    def errors(self) -> dict[str, QuarrowError]:
        """Of the layers that failed, with ``on_error="skip"``."""
        return self._rows.errors

    @property
    def stats(self) -> CallStats:
        """What the call did, and how long each part took."""
        return self._rows.stats

    def __len__(self) -> int:
        return len(self._rows)

    def __arrow_c_schema__(self) -> object:
        """Export the schema."""
        return _core.arrow_schema()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the layers as record batches; a requested schema is not looked at."""
        del requested_schema
        return self._rows.stream()

    def to_pyarrow(self) -> "pa.Table":
        """Return a ``pyarrow.Table`` over the same memory.

        Raises
        ------
        ImportError
            pyarrow is not installed.
        """
        return pyarrow().table(self)

    def __repr__(self) -> str:
        errors = f", {counted(len(self.errors), 'error')}" if self.errors else ""
        return f"{type(self).__name__}({counted(len(self), 'layer')}{errors})"


class ArrowBatch(ArrowResult):
    """A result that is one record batch."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """Export the record batch; a requested schema is not looked at."""
        del requested_schema
        return self._rows.array()


class ArrowStream:
    """Quantized record batches, made one by one when they are asked for, once.

    Iterate it for an ``ArrowBatch`` each (an error is raised as it is), or hand it to an Arrow
    library (an error becomes that library's own, with the whole message).
    """

    def __init__(
        self, source: _core.ArrowSource, quantize: Callable[[], _core.ArrowRows | None]
    ) -> None:
        self._source = source
        self._quantize = quantize
        self._exported = False

    def __iter__(self) -> Iterator[ArrowResult]:
        return self

    def __next__(self) -> ArrowResult:
        self._check_unused()
        made = self._next()
        if made is None:
            raise StopIteration
        return _result(made)

    def __arrow_c_schema__(self) -> object:
        """Export the schema."""
        return _core.arrow_schema()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the batches that are left; a requested schema is not looked at."""
        del requested_schema
        self._check_unused()
        self._exported = True
        return _core.arrow_stream(self._next)

    def to_pyarrow(self) -> "pa.Table":
        """Return all batches that are left as one ``pyarrow.Table``."""
        return pyarrow().table(self)

    def _check_unused(self) -> None:
        if self._exported:
            msg = "the stream has been handed out; quantize its source again for another"
            raise InvalidInputError(msg)

    def _next(self) -> _core.ArrowRows | None:
        try:
            return self._quantize()
        except QuarrowError as error:
            batch = max(self._source.begun, 1) - 1
            error.args = (f"batch {batch}: {error}", *error.args[1:])
            raise

    def __repr__(self) -> str:
        return f"ArrowStream({counted(self._source.begun, 'batch', 'batches')} begun)"


def quantize_arrow(
    source: Any,
    format: str | _core.Format,
    *,
    name_column: str = "layer_name",
    weights_column: str = "weights",
    shape_column: str = "shape",
    rules: Rules | Callable[[str], str | _core.Format | None] | None = None,
    on_error: str = "raise",
    progress: Progress | None = None,
    copy: bool = False,
    nonfinite: str = "raise",
    threads: int | None = None,
    **fields: Any,
) -> ArrowResult | ArrowStream:
    r"""Quantize the layers of an Arrow table, record batch or stream.

    A row is a layer. Weights are read where they lie, whatever the offsets, slices and chunks, and
    each layer gets the bytes that ``quantize`` gives.

    Parameters
    ----------
    source : object with ``__arrow_c_stream__`` or ``__arrow_c_array__``, or a capsule of one
        From pyarrow, polars, duckdb, nanoarrow..., or a scanner of ``pyarrow.dataset``. What knows
        its length (a table, a record batch, a data frame) is quantized before this returns, as one
        batch. Anything else is a stream, and quantized batch by batch as the result is read, in
        constant memory.
    format : str or Format
        How to quantize; its fields (``group_size``...) may be given as keywords.
    name_column : str
        string, large_string, string_view, a dictionary of these, or one of these run-end encoded.
        Names must not be null nor repeated (within a batch of a stream).
    weights_column : str
        Lists of float16, float32 or float64: list, large_list, list_view, large_list_view or
        fixed_size_list; lists of such lists (matrices, convolutions); fixed-shape tensors. Lists
        within a weight must be equally long, and views of them lie as the rows of a matrix.
    shape_column : str
        Lists of int32 or int64. A null shape or no such column means that of the tensors or of the
        lists within each other, so one dimension for plain lists. Other columns are ignored.
    progress : callable, optional
        As in ``quantize_batch``; for a stream each batch counts from 1 again.
    copy : bool
        As in ``quantize``; nothing of what is read needs one.
    rules, on_error, nonfinite, threads
        As in ``quantize_batch``.
    **fields
        Of the format.

    Returns
    -------
    ArrowResult or ArrowStream
        Both have ``__arrow_c_stream__`` and ``to_pyarrow()``; an ``ArrowBatch``, the usual result
        of what is no stream, has ``__arrow_c_array__`` too.

    Raises
    ------
    UnsupportedFormatError
        A format or one of its fields is unknown.
    NonFiniteError
        A layer has NaN or Inf.
    InvalidInputError
        A column has another type, a row is null or its shape does not fit, the source exports no
        Arrow data, or another argument cannot be used.

    Examples
    --------
    >>> import pyarrow as pa, quarrow as qr
    >>> table = pa.table({"layer_name": ["a", "b"], "weights": [[0.0, 1.0], [2.0, 3.0, 4.0]]})
    >>> result = qr.quantize_arrow(table, "int8")
    >>> result.to_pyarrow().column("codes").to_pylist()
    [b'\x00\xff', b'\x7f\xbf\xff']
    """
    columns = {
        "name_column": name_column,
        "weights_column": weights_column,
        "shape_column": shape_column,
    }
    try:
        if not _exports_arrow(source) and hasattr(type(source), "to_reader"):
            source = source.to_reader()
        wanted = as_format(format, fields)
        check_options(progress, copy=copy)
        check_word("on_error", on_error, "raise", "skip")
        choose = None if rules is None else format_chooser(rules, wanted)
        opened = _open(source, columns)
    except QuarrowError:
        # An error of this call, though none of its batches was reached.
        with _core.CallRecord("quantize_arrow"):
            raise

    def quantize(*, whole: bool) -> _core.ArrowRows | None:
        return opened.quantize(
            wanted,
            format_of=choose,
            on_error=on_error,
            progress=progress,
            nonfinite=nonfinite,
            threads=threads,
            whole=whole,
        )

    if not is_stream(source):
        made = quantize(whole=True)
        assert made is not None
        return _result(made)
    return ArrowStream(opened, lambda: quantize(whole=False))


def quantize_pyarrow(batch: Any, format: str | _core.Format, **options: Any) -> Any:
    """Quantize a pyarrow Table or RecordBatch to another of the same kind.

    For frameworks that map a function over their data: Ray Data calls it with tables, Spark's
    ``mapInArrow`` with record batches.

    Parameters
    ----------
    batch : pyarrow.Table or pyarrow.RecordBatch
        As ``quantize_arrow`` takes it.
    format : str or Format
        How to quantize.
    **options
        Of ``quantize_arrow``.

    Returns
    -------
    pyarrow.Table or pyarrow.RecordBatch
        With the columns of ``ArrowResult``.

    Examples
    --------
    >>> import pyarrow as pa, quarrow as qr
    >>> batch = pa.record_batch({"layer_name": ["a"], "weights": [[0.0, 1.0]]})
    >>> qr.quantize_pyarrow(batch, "int8").num_rows
    1
    """
    pa = pyarrow()
    if not isinstance(batch, pa.Table | pa.RecordBatch):
        msg = f"batch must be a pyarrow Table or RecordBatch, not {type(batch).__name__}"
        raise InvalidInputError(msg)
    table = quantize_arrow(batch, format, **options).to_pyarrow()
    if isinstance(batch, pa.Table):
        return table
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _open(source: object, columns: dict[str, Any]) -> _core.ArrowSource:
    for role, column in columns.items():
        if not is_text(column):
            msg = f"{role} must be a str without lone surrogates, not {safe_repr(column)}"
            raise InvalidInputError(msg)
    return _core.ArrowSource(exported(source), **columns)


def _result(rows: _core.ArrowRows) -> ArrowResult:
    return ArrowBatch(rows) if rows.are_one_array else ArrowResult(rows)


def is_stream(source: object) -> bool:
    """Whether its length is not known before it is read."""
    kind = type(source)
    return _is_capsule(source) or (
        hasattr(kind, "__arrow_c_stream__") and not hasattr(kind, "__len__")
    )


def _is_capsule(source: object) -> bool:
    return type(source).__name__ == "PyCapsule"


def _exports_arrow(source: object) -> bool:
    kind = type(source)
    return hasattr(kind, "__arrow_c_array__") or hasattr(kind, "__arrow_c_stream__")


def exported(source: Any) -> object:
    """Return the capsules of Arrow data, or raise InvalidInputError."""
    kind = type(source)
    if hasattr(kind, "__arrow_c_array__"):
        return source.__arrow_c_array__()
    if hasattr(kind, "__arrow_c_stream__"):
        return source.__arrow_c_stream__()
    if _is_capsule(source) or (
        isinstance(source, tuple) and len(source) == 2 and all(map(_is_capsule, source))
    ):
        return source
    msg = (
        f"got {type(source).__name__}; pass a pyarrow Table or RecordBatch, or anything with "
        "__arrow_c_stream__ or __arrow_c_array__"
    )
    raise InvalidInputError(msg)


def pyarrow() -> Any:
    """Import it, or say how to install it."""
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        msg = "this needs pyarrow: python -m pip install 'quarrow[arrow]'"
        raise ImportError(msg) from error
