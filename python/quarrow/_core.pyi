"""
The compiled part of quarrow: borrows arrays, owns results, holds no policy.
"""

from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView
)
import os
from typing import Any, overload

import numpy
import numpy.typing

import quarrow.descriptions
import quarrow.exceptions
import quarrow.file_report


class Format:
    """
    A quantization format, as a value.

    Parameters
    ----------
    name : str
        A registered name; ``quarrow.formats()`` lists them.
    group_size : a whole number from 1, 'row' or 'tensor'
        How many columns share a scale.
    symmetric : True or False
        Signed codes around zero, without zero points.
    scale_dtype : 'float32', 'float16' or 'bfloat16'
        What scales are rounded to.
    packed : True or False
        Several 4-bit or 2-bit codes in a byte. No effect on 8 bits.
    rounding : 'nearest' or 'stochastic'
        How values between two codes are rounded.
    seed : a whole number from 0 to 2**64 - 1
        Of stochastic rounding; the layer's name counts too.
    scaled : True or False
        A scale for the tensor; else values are cast as they are, and clamped.

    Raises
    ------
    UnsupportedFormatError
        The name is unknown, or the format has no such field.
    InvalidInputError
        A field cannot take the value.

    Examples
    --------
    >>> import quarrow as qr
    >>> qr.Format("int4", group_size=64).group_size
    64
    >>> qr.Format("int4") == qr.Format("int4", group_size=128)
    True
    """

    def __init__(self, name: str, *, group_size: int | str | None = None, symmetric: bool | None = None, scale_dtype: str | None = None, packed: bool | None = None, rounding: str | None = None, seed: int | None = None, scaled: bool | None = None) -> None: ...

    def replace(self, *, group_size: int | str | None = None, symmetric: bool | None = None, scale_dtype: str | None = None, packed: bool | None = None, rounding: str | None = None, seed: int | None = None, scaled: bool | None = None) -> Format:
        """The same format with the given fields changed."""

    @property
    def name(self) -> str:
        """The registered name."""

    @property
    def bits(self) -> int:
        """Bits of a code."""

    def fields(self) -> dict[str, int | str | bool]:
        """The fields that this kind of format has, with their values."""

    def facts(self) -> dict[str, int | str | bool]:
        """What its stored tensors have in common, whether it may be set or not."""

    def __eq__(self, other: object, /) -> bool: ...

    def __hash__(self) -> int: ...

    def __repr__(self) -> str: ...

    def __copy__(self) -> Format: ...

    def __deepcopy__(self, memo: object) -> Format: ...

    def __getstate__(self) -> tuple[str, dict[str, int | str | bool]]: ...

    def __setstate__(self, state: tuple[str, dict[str, int | str | bool]]) -> None: ...

    @property
    def group_size(self) -> int | str | None:
        """How many columns share a scale."""

    @property
    def symmetric(self) -> bool | None:
        """Signed codes around zero, without zero points."""

    @property
    def scale_dtype(self) -> str | None:
        """What scales are rounded to."""

    @property
    def packed(self) -> bool | None:
        """Several 4-bit or 2-bit codes in a byte. No effect on 8 bits."""

    @property
    def rounding(self) -> str | None:
        """How values between two codes are rounded."""

    @property
    def seed(self) -> int | None:
        """Of stochastic rounding; the layer's name counts too."""

    @property
    def scaled(self) -> bool | None:
        """A scale for the tensor; else values are cast as they are, and clamped."""

def runtime_of(format: Format) -> str:
    """
    Whose loader decides what a file of that format may hold quantized, or 'none'; 'any' where every loader of that dtype reads it.
    """

def file_fields() -> list[quarrow.descriptions.FieldDescription]:
    """The fields that make a difference to a file."""

def formats() -> list[quarrow.descriptions.FormatDescription]:
    """
    Every format that works in this build.

    Returns
    -------
    list of FormatDescription
        Named tuples ``(name, summary, bits, fields, defaults)``.

    Examples
    --------
    >>> import quarrow as qr
    >>> [each.name for each in qr.formats()]
    ['int8', 'int4', 'int2', 'int8_rowwise', 'fp8_e4m3', 'fp8_e5m2', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0']
    """

class QuantizedTensor:
    """
    A quantized tensor: codes, scales, zero points, and what they mean.

    ``quantize`` makes them. Build one from arrays of your own to dequantize it, or to pass it as
    ``out=``; the arrays are held, not copied (scales of float16 are).

    Parameters
    ----------
    codes : numpy.ndarray
        uint8 (int8 for signed 8-bit codes, ml_dtypes' float8 or uint8 for floats), [rows, bytes of a
        row], C-contiguous. rows is shape[0]; a 1-D tensor is one row.
    scales : numpy.ndarray or None
        float32, or float16 where the format says so, [rows, groups]; [1, 1] for one scale per tensor.
        None when the format has none.
    zero_points : numpy.ndarray or None
        uint8, of the shape of the scales; None when the format has none.
    format : Format
        How the codes are to be read.
    shape : tuple of int
        Of the tensor; up to 64 dimensions.
    dtype : str, optional
        Of the tensor that was quantized.
    name : str, optional
        Of the layer, for messages.
    tensor_scale : numpy.ndarray, optional
        float32, 0-d: the scale of the tensor, of formats that have one.
    channel_scales, codebook : numpy.ndarray, optional
        [rows], and the values that codes stand for: of formats that have them.

    Raises
    ------
    InvalidInputError
        An array has another dtype or shape, or is not contiguous or not aligned; or the shape has more
        than 64 dimensions.

    Examples
    --------
    >>> import numpy as np, quarrow as qr
    >>> q = qr.quantize(np.ones((2, 4), np.float32), "int8")
    >>> qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape) == q
    True
    """

    def __init__(self, codes: numpy.typing.NDArray[Any], scales: numpy.typing.NDArray[Any] | None, zero_points: numpy.typing.NDArray[numpy.uint8] | None, format: str | Format, shape: Sequence[int], dtype: str = 'float32', name: str | None = None, *, tensor_scale: numpy.typing.NDArray[numpy.float32] | None = None, channel_scales: numpy.typing.NDArray[numpy.float32] | None = None, codebook: numpy.typing.NDArray[numpy.float32] | None = None) -> None: ...

    @property
    def parts(self) -> dict[str, numpy.typing.NDArray[Any]]:
        """The arrays that the format has, as stored, by name and in its order."""

    @property
    def part_dtypes(self) -> dict[str, str]:
        """
        What their elements are, as safetensors spells it: without ml_dtypes arrays of 'F8_E4M3' are uint8.
        """

    @property
    def codes(self) -> numpy.typing.NDArray[Any]:
        """
        uint8 (int8 for signed 8-bit codes; floats are ml_dtypes', without it uint8), [rows, bytes of a row].
        """

    @property
    def scales(self) -> numpy.typing.NDArray[Any] | Any:
        """
        float32 or float16, [rows, groups]. bfloat16 scales are float32; float16 scales are a read-only copy. None when the format has none.
        """

    @property
    def zero_points(self) -> numpy.typing.NDArray[numpy.uint8] | None:
        """uint8, of the shape of the scales; None when the format has none."""

    @property
    def tensor_scale(self) -> numpy.typing.NDArray[numpy.float32] | None:
        """float32, 0-d: the scale of the tensor; None when the format has none."""

    @property
    def channel_scales(self) -> numpy.typing.NDArray[numpy.float32] | None:
        """
        float32, [rows], beside the scales of groups; None when the format has none.
        """

    @property
    def codebook(self) -> numpy.typing.NDArray[numpy.float32] | None:
        """The values that codes stand for; None when the format has none."""

    @property
    def format(self) -> Format:
        """How the codes are to be read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor that was quantized."""

    @property
    def dtype(self) -> numpy.dtype[Any]:
        """
        Of the tensor that was quantized; bfloat16 is uint16 without ml_dtypes.
        """

    @property
    def dtype_name(self) -> str:
        """The same by name: 'bfloat16'."""

    @property
    def nbytes(self) -> int:
        """Of its parts together."""

    @property
    def name(self) -> str | None:
        """The layer's name, if it has one."""

    @property
    def stats(self) -> quarrow.descriptions.CallStats:
        """
        What the call that made it did, and how long each part took. Of a layer of a batch the bytes alone: the time was the whole call's.
        """

    def dequantize(self, dtype: str = 'float32', out: numpy.typing.NDArray[Any] | None = None, *, like: Any = None, threads: int | None = None) -> Any:
        """
        The values that the codes stand for.

        Parameters
        ----------
        dtype : "float32", "float16" or "bfloat16"
            Of the result. numpy has bfloat16 with ml_dtypes alone: without, pass ``like``, or as ``out`` an
            array of uint16 for the bits.
        out : numpy.ndarray, optional
            Written and returned: C-contiguous, of this dtype and of ``shape``.
        like : array, optional
            Instead of both: a numpy array, or a tensor of torch, jax or another library of the array API.
            The result is of its kind and dtype (float64: the float32 values), a tensor of torch on its
            device.
        threads : int, optional
            At most so many threads.

        Returns
        -------
        numpy.ndarray or tensor
            (code - zero point) * scale in float32, rounded to nearest even.

        Raises
        ------
        InvalidInputError
            The dtype, ``out`` or ``like`` cannot be used.

        Examples
        --------
        >>> import numpy as np, quarrow as qr
        >>> qr.quantize(np.array([0.0, 1.0, 15.0], np.float32), "int4").dequantize()
        array([ 0.,  1., 15.], dtype=float32)
        """

    def error(self, w: object, *, threads: int | None = None) -> quarrow.descriptions.ErrorStats:
        """
        How far the stored values are from ``w``.

        Parameters
        ----------
        w : array
            The original, of this shape. Its NaN and Inf are left out.
        threads : int, optional
            At most so many threads; the figures do not depend on it.

        Returns
        -------
        ErrorStats
            ``max_abs``, ``rmse``, ``sqnr_db`` (inf without error), ``cosine``.
        """

    def copy(self) -> QuantizedTensor:
        """The same values in memory of their own."""

    def __copy__(self) -> QuantizedTensor: ...

    def __deepcopy__(self, memo: object) -> QuantizedTensor: ...

    def __eq__(self, other: object, /) -> bool:
        """Same format, shape, dtype and bytes; names and stats do not count."""

    def __hash__(self) -> int:
        """Raises TypeError: the arrays can be written."""

    def __reduce__(self) -> tuple[Any, ...]: ...

    def __arrow_c_schema__(self) -> object: ...

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """
        An Arrow record batch of one row, in the memory that the tensor lies in.
        """

    def __repr__(self) -> str: ...

def format_parts(format: str | Format, shape: Sequence[int]) -> list[tuple[str, str, tuple[int, ...]]]:
    """
    Name, dtype and shape of each array that the format makes of a tensor of that shape.
    """

def tensor_of_parts(parts: Mapping[str, numpy.typing.NDArray[Any]], format: str | Format, shape: Sequence[int], dtype: str = 'float32', name: str | None = None) -> QuantizedTensor:
    """
    A QuantizedTensor over ``QuantizedTensor.parts``, as pickles hold them.
    """

def quantize(w: object, format: str | Format, *, name: str | None = None, out: QuantizedTensor | tuple[numpy.typing.NDArray[Any] | None, ...] | Mapping[str, numpy.typing.NDArray[Any]] | None = None, copy: bool = False, nonfinite: str = 'raise', threads: int | None = None, group_size: int | str | None = None, symmetric: bool | None = None, scale_dtype: str | None = None, packed: bool | None = None, rounding: str | None = None, seed: int | None = None, scaled: bool | None = None) -> QuantizedTensor:
    """
    Quantize one tensor.

    The input is read where it lies: numpy arrays (read-only too), torch, jax and mlx tensors on the CPU
    (DLPack), array.array and memoryview of floats, ml_dtypes.bfloat16. Rows may be strided; within a
    row the values must be contiguous. rows is shape[0], columns the product of the rest; a 1-D tensor
    is one row. The lock is released while the engine works.

    Parameters
    ----------
    w : array
        float32, float16, bfloat16 or float64; 1 to 64 dimensions.
    format : str or Format
        How to quantize; ``quarrow.formats()`` lists the names. The fields of a format
        (``group_size``...) are keywords too; None leaves the format's own value.
    name : str, optional
        Of the layer, for messages; stochastic rounding depends on it.
    out : QuantizedTensor, tuple or mapping, optional
        Where to write: a QuantizedTensor of this format and shape, which is returned, or its ``parts``:
        writable C-contiguous numpy arrays by name, or a tuple of them in the format's order, such as
        ``(codes, scales, zero_points)``. It must not overlap ``w``. Its contents are unspecified after
        an error.
    copy : bool
        Permits a copy of an input that cannot be read in place; ``stats.bytes_copied`` shows it.
    nonfinite : "raise" or "saturate"
        What to do with NaN and Inf: raise NonFiniteError, or give Inf the end codes and NaN the code
        of 0. float64 values beyond float32 raise InvalidInputError, or get the end codes.
    threads : int, optional
        At most so many threads. The default is QUARROW_NUM_THREADS, or the CPUs that this process may
        use. Results do not depend on it.

    Returns
    -------
    QuantizedTensor

    Raises
    ------
    UnsupportedFormatError
        The format's name or one of its fields is unknown.
    NonFiniteError
        The input has NaN or Inf.
    InvalidInputError
        The input, ``out`` or another argument cannot be used; the message says what to do.

    Examples
    --------
    >>> import numpy as np, quarrow as qr
    >>> q = qr.quantize(np.arange(8, dtype=np.float32), "int4", group_size=4)
    >>> q.codes
    array([[ 80, 250, 185, 253]], dtype=uint8)
    >>> q.scales.shape
    (1, 2)
    """

def address_read(w: object) -> int:
    """Where the engine reads the first element of ``w``."""

def dequantize(q: QuantizedTensor, dtype: str = 'float32', out: numpy.typing.NDArray[Any] | None = None, *, like: Any = None, threads: int | None = None) -> Any:
    """The values of ``q``: the same as ``q.dequantize(dtype, out)``."""

def dequantize_batch(tensors: BatchResult | Mapping[str, QuantizedTensor], dtype: str = 'float32', out: Mapping[str, numpy.typing.NDArray[Any]] | None = None, *, like: Any = None, threads: int | None = None) -> dict[str, Any]:
    """
    The values of many quantized tensors, in one call.

    The threads share the work of all of them; each has the values that ``dequantize`` gives.

    Parameters
    ----------
    tensors : mapping of str to QuantizedTensor
        A ``BatchResult``, or any other.
    dtype : "float32", "float16" or "bfloat16"
        Of the results, as in ``dequantize``.
    out : mapping of str to numpy.ndarray, optional
        Written and returned: for each name an array as ``dequantize`` takes it.
    like : array, optional
        Instead of dtype: an array or tensor whose kind and dtype the results have, as in
        ``dequantize``.
    threads : int, optional
        At most so many threads.

    Returns
    -------
    dict of str to array
        In the order of the mapping.

    Raises
    ------
    InvalidInputError
        A value is no QuantizedTensor, or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np, quarrow as qr
    >>> r = qr.quantize_batch({"a": np.ones((4, 256), "f"), "b": np.zeros(8, "f")}, "int8")
    >>> {name: values.shape for name, values in qr.dequantize_batch(r, "float16").items()}
    {'a': (4, 256), 'b': (8,)}
    """

class BatchResult:
    """
    The quantized layers of a batch: a mapping of names to QuantizedTensors.

    ``quantize_batch`` makes them. Small layers share memory: a tensor, or an array of one, that is
    kept keeps up to 32 MB of its neighbours; ``.copy()`` detaches it. Layers that failed are not in the
    mapping but in ``errors``.

    Parameters
    ----------
    tensors : dict of str to QuantizedTensor
        The layers.
    errors : dict of str to QuarrowError
        Those that failed.
    """

    def __init__(self, tensors: dict[str, QuantizedTensor], errors: dict[str, quarrow.exceptions.QuarrowError] = {}) -> None: ...

    def __getitem__(self, name: str, /) -> QuantizedTensor: ...

    def get(self, name: str, default: Any = None) -> Any:
        """The tensor of that name, or ``default``."""

    def __contains__(self, name: object, /) -> bool: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...

    def keys(self) -> KeysView[str]:
        """The names, in order."""

    def values(self) -> ValuesView[QuantizedTensor]:
        """The tensors, in order."""

    def items(self) -> ItemsView[str, QuantizedTensor]:
        """Names and tensors, in order."""

    @property
    def errors(self) -> dict[str, quarrow.exceptions.QuarrowError]:
        """Of the layers that failed, by name."""

    @property
    def stats(self) -> quarrow.descriptions.CallStats:
        """What the whole call did, and how long each part took."""

    @property
    def nbytes(self) -> int:
        """Of codes, scales and zero points of all layers."""

    def copy(self) -> BatchResult:
        """The same layers, each in memory of its own."""

    def save(self, path: str | os.PathLike[str], container: str | None = None, *, metadata: Mapping[str, str] | None = None, sync: bool = True) -> quarrow.file_report.FileReport:
        """Write the layers as a checkpoint: see ``quarrow.save``."""

    def __copy__(self) -> BatchResult: ...

    def __deepcopy__(self, memo: object) -> BatchResult: ...

    def __eq__(self, other: object, /) -> bool:
        """
        The same tensors under the same names, and between results the same errors.
        """

    def __hash__(self) -> int:
        """Raises TypeError: the arrays can be written."""

    def __reduce__(self) -> tuple[Any, ...]: ...

    def __arrow_c_schema__(self) -> object: ...

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The layers as Arrow record batches, in the memory that they lie in."""

    def __repr__(self) -> str: ...

def quantize_batch(layers: Mapping[str, Any] | Iterable[tuple[str, Any]], format: str | Format, *, rules: Mapping[Any, str | Format | None] | Iterable[tuple[Any, str | Format | None]] | Callable[[str], str | Format | None] | None = None, on_error: str = 'raise', progress: Callable[[int, int, str], object] | None = None, copy: bool = False, nonfinite: str = 'raise', threads: int | None = None, group_size: int | str | None = None, symmetric: bool | None = None, scale_dtype: str | None = None, packed: bool | None = None, rounding: str | None = None, seed: int | None = None, scaled: bool | None = None) -> BatchResult:
    """
    Quantize many tensors in one call.

    The boundary is crossed once, whatever the number of layers, and the threads share the work of all
    of them. Each result has the same bytes as ``quantize`` gives for that layer.

    Parameters
    ----------
    layers : mapping of str to array, or iterable of (str, array)
        Arrays as ``quantize`` takes them. They are held until the call returns; changing the mapping
        meanwhile has no effect.
    format : str or Format
        How to quantize; its fields (``group_size``...) are keywords too.
    rules : dict of pattern to format or None, iterable of such pairs, or callable, optional
        The format of single layers. The first pattern found in a name (``re.search``) gives its format;
        None leaves the layer out, and a layer that no pattern finds takes ``format``. A callable is
        called as ``rules(name)`` and returns a format or None.
    on_error : "raise" or "skip"
        What to do with a layer that cannot be quantized: raise what ``quantize`` would (of the first in
        the order of the input), or go on and keep the exception in ``errors``.
    progress : callable, optional
        Called as ``progress(done, total, name)`` on this thread for each layer that is finished; done
        and total count layers. An exception in it stops the call.
    copy, nonfinite, threads
        As in ``quantize``.

    Returns
    -------
    BatchResult
        A mapping of the names to QuantizedTensors, in the order of the input.

    Raises
    ------
    UnsupportedFormatError
        A format or one of its fields is unknown, in ``rules`` too.
    NonFiniteError
        A layer has NaN or Inf; ``name`` says which.
    InvalidInputError
        A layer cannot be read, a name is no str or is there twice, or another argument cannot be used.

    Examples
    --------
    >>> import numpy as np, quarrow as qr
    >>> layers = {"up": np.ones((4, 256), np.float32), "down": np.ones((256, 4), np.float16)}
    >>> r = qr.quantize_batch(layers, "int4", rules={"down": "int8"})
    >>> for name, q in r.items():
    ...     print(name, q.format.name, q.codes.shape)
    up int4 (4, 128)
    down int8 (256, 4)
    """

class ArrowRows:
    """Quantized layers, to be exported as Arrow data."""

    def __len__(self) -> int: ...

    @property
    def errors(self) -> dict[str, quarrow.exceptions.QuarrowError]:
        """Of the layers that failed, by name."""

    @property
    def stats(self) -> quarrow.descriptions.CallStats:
        """Of the call."""

    @property
    def are_one_array(self) -> bool:
        """Whether one record batch can hold them without a copy."""

    def array(self) -> tuple[object, object]:
        """Capsules of the schema and of the array."""

    def stream(self) -> object:
        """A capsule of a stream."""

class ArrowSource:
    """The record batches that an object exported."""

    def __init__(self, exported: object, *, name_column: str, weights_column: str, shape_column: str) -> None: ...

    def quantize(self, format: Format, *, format_of: Callable[[str], Format | None] | None, on_error: str, progress: Callable[[int, int, str], object] | None, nonfinite: str, threads: int | None, whole: bool) -> ArrowRows | None:
        """
        Quantize the next batch, or with whole all that are left as one; None at the end.
        """

    @property
    def begun(self) -> int:
        """Batches of a stream that were asked for, the one that failed too."""

    def addresses_read(self) -> list[int]:
        """Where the engine reads the weights of each row of the next batch."""

def arrow_schema() -> object:
    """A capsule of the schema of every result."""

def arrow_stream(next: Callable[[], ArrowRows | None]) -> object:
    """A capsule of a stream whose batches ``next`` makes."""

def version() -> str:
    """Of this package."""

def info() -> dict[str, Any]:
    """
    What this build is and how it runs here.

    Returns
    -------
    dict
        ``version``, ``isa`` (the instruction set in use), ``runnable_isas`` (best first), ``threads``
        (the default), ``cpus``, ``executor``, ``build`` and ``dependencies``.

    Raises
    ------
    InvalidInputError
        QUARROW_FORCE_ISA, QUARROW_EXECUTOR or QUARROW_NUM_THREADS cannot be honoured.

    Examples
    --------
    >>> import quarrow as qr
    >>> info = qr.info()
    >>> info["isa"] in info["runnable_isas"]
    True
    """

class CallRecord:
    """Counts one call of an entry point, which its body encloses."""

    def __init__(self, entry: str) -> None: ...

    def __enter__(self) -> CallRecord: ...

    def __exit__(self, type: object, value: object, traceback: object) -> None: ...

    def copied(self, bytes: int) -> None:
        """Count bytes of input that were just copied."""

def metrics() -> dict[str, quarrow.descriptions.EntryMetrics]:
    """
    What the calls of this process did so far, by entry point.

    Calls count when they end. Layers and bytes are those of results: a call that raised adds itself and
    an error, and what it had copied by then. Calls of less than 64 KB are counted but not timed, file
    jobs always are.

    Returns
    -------
    dict of str to EntryMetrics
        ``quantize``, ``quantize_batch``, ``quantize_arrow``, ``dequantize`` (the method too),
        ``dequantize_batch``, ``dequantize_arrow``, ``quantize_file``, ``dequantize_file``,
        ``convert_file``, ``save``, ``quantize_state_dict``, ``dequantize_state_dict`` and
        ``legacy.quantize``, each with ``calls``, ``layers``, ``bytes_in``, ``bytes_copied``,
        ``seconds`` and ``errors``.

    Examples
    --------
    >>> import numpy as np, quarrow as qr
    >>> qr.reset_metrics()
    >>> q = qr.quantize(np.ones((4, 256), np.float32), "int8")
    >>> qr.metrics()["quantize"]
    EntryMetrics(calls=1, layers=1, bytes_in=4096, bytes_copied=0, seconds=0.0, errors=0)
    """

def reset_metrics() -> None:
    """
    Set all figures of ``metrics()`` to zero.

    A warning that was logged is not logged again after it.

    Examples
    --------
    >>> import quarrow as qr
    >>> qr.reset_metrics()
    >>> sum(each.calls for each in qr.metrics().values())
    0
    """

class OpenCheckpoint:
    """Tensors in files, or in memory."""

    @overload
    def __init__(self, path: bytes, io: str) -> None: ...

    @overload
    def __init__(self, tensors: Iterable[tuple[str, Any]], metadata: dict[str, str], read: Callable[[str, Any], tuple[str, tuple[int, ...], Any, int] | None]) -> None: ...

    @property
    def names(self) -> list[str]:
        """Of a program's tensors."""

    @property
    def values(self) -> list[Any]:
        """A program's tensors; release() empties the list."""

    def close(self) -> None:
        """Let go of the files. What was read stays."""

    def release(self) -> None:
        """Let go of the files, or the arrays, of a job that has ended."""

    def find_layers(self) -> None:
        """Join the entries of quantized layers."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Of a tensor, in the order of the file."""

    def item(self, index: int) -> tuple[str, str, tuple[int, ...], int, Format | None, int]:
        """
        Name, dtype, shape, bytes, format and file of a tensor, in the order of the file.
        """

    def read(self, index: int, begin: int, bytes: int) -> numpy.typing.NDArray[numpy.uint8]:
        """A stretch of a tensor's bytes."""

    def read_layer(self, index: int) -> QuantizedTensor:
        """A quantized layer."""

    def same_bytes(self, index: int, other: OpenCheckpoint, other_index: int) -> bool:
        """Whether two plain tensors have one dtype and the same data."""

    def compare(self, index: int, other: OpenCheckpoint, other_index: int) -> quarrow.descriptions.ErrorStats:
        """The error of another tensor: float tensors or layers of one shape."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Of all files; in GGUF not all are texts."""

    @property
    def paths(self) -> list[bytes]:
        """Of the files that hold tensors."""

    @property
    def file_bytes(self) -> int:
        """Of all files."""

def write_file(path: bytes, data: bytes) -> None:
    """
    Write a file that appears when it is complete and on the disk; it keeps the permissions of the one that it replaces.
    """

def dlpack_array(bytes: numpy.typing.NDArray[numpy.uint8], owner: object, code: int, bits: int, shape: Sequence[int]) -> Any:
    """An object that exports these bytes through DLPack as another type."""

def container_of(path: bytes) -> str | None:
    """The kind of file that a name asks for by its ending."""

def container_names() -> list[str]:
    """The kinds of files that can be written."""

class FileJob:
    """A job from checkpoint to checkpoint, in its steps."""

    def __init__(self, source: OpenCheckpoint) -> None: ...

    @property
    def source_size(self) -> int:
        """How many tensors the source has."""

    def source_name(self, index: int) -> str:
        """
        Of a tensor of the source, or of the quantized layer that it is a part of.
        """

    def plan(self, formats: Sequence[Format], choices: bytes, *, dtype: str | None, max_shard_bytes: int, runtime: str | None, in_memory: bool = False, container: str = 'safetensors') -> None:
        """
        Decide on every tensor: a byte each, the index of a format, 254 for the first one unless the defaults leave the tensor, or 255 to leave it. Empty: 254 for all. The rules are those of the runtime; None: for each format its own. In memory: for run_in_memory().
        """

    def plan_floats(self, restore: bool, *, dtype: str | None, max_shard_bytes: int, in_memory: bool = False, container: str = 'safetensors') -> None:
        """
        Plan that nothing is quantized, and quantized layers become what they were: all, or those that the container has no place for.
        """

    def run(self, destination: bytes, *, saturate: bool, threads: int | None, sync: bool, measure_error: bool, skip_faults: bool, progress: Callable[[int, int, str], object] | None) -> list[tuple[int, Exception]]:
        """
        Write the new files. With skip_faults: the tensors that failed, and then no files.
        """

    def run_in_memory(self, *, saturate: bool, threads: int | None, skip_faults: bool, progress: Callable[[int, int, str], object] | None) -> list[tuple[int, Exception]]:
        """The same for take_entries()."""

    def take_entries(self, as_torch: bool, entries: dict[str, Any]) -> None:
        """
        Add what run_in_memory() made, and what it left of its source, to a dict.
        """

    def source_index(self, index: int) -> int:
        """
        Which tensor of the source a tensor of the plan is; all of a quantized layer is its codes.
        """

    def __len__(self) -> int: ...

    def tensor(self, index: int) -> tuple[str, int | None, str, str | None, tuple[int, ...], str, str, int, int, dict[str, float] | None]:
        """
        Name, format index, action, reason, shape, dtype before and after, bytes in, bytes out, error.
        """

    def entries(self) -> list[tuple[str, str, bool]]:
        """Name and dtype of what the new file holds, and whether it is made."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the new file."""

    def paths(self, destination: bytes) -> list[bytes]:
        """The files that run() writes."""

    @property
    def adapter_factors(self) -> int:
        """How many of the quantized tensors are factors of a LoRA."""

    @property
    def runtime_rules(self) -> tuple[str, bool, int, int, str | None]:
        """
        The runtime, whether it knows the model, how many tensors stay because it would misread them, how many are quantized all the same, and the reason.
        """

    @property
    def quantized(self) -> int:
        """How many tensors are, those that were before among them."""

    @property
    def requantized(self) -> int:
        """How many tensors are."""

    @property
    def restored(self) -> int:
        """How many tensors are."""

    @property
    def converted(self) -> int:
        """How many tensors are."""

    @property
    def reasons(self) -> list[tuple[str, str, int]]:
        """Why tensors stay, the most first: name of the reason, text, number."""

    @property
    def readers(self) -> list[str]:
        """Who loads the quantized layers of the new file."""

    @property
    def layers_left(self) -> list[tuple[str, int]]:
        """Quantized layers that cannot be decoded: how they are stored, number."""

    @property
    def config_file(self) -> bytes | None:
        """The config.json that describes quantized layers of the source."""

    @property
    def unlisted(self) -> int:
        """Tensors of the source's files that its index does not name."""

    @property
    def trailing_bytes(self) -> int:
        """Bytes behind the last tensor of the source that belong to none."""

    @property
    def differing_keys(self) -> list[str]:
        """Keys of the metadata with other values in other files of the source."""

    @property
    def bytes_in(self) -> int:
        """Of the source's files."""

    @property
    def bytes_out(self) -> int:
        """Of the new files."""

def list_numbers(values: object, shape: Sequence[int]) -> numpy.typing.NDArray[numpy.uint8] | None:
    """
    The numbers of nested lists and tuples of float and int as the bytes of doubles; None where they are not of that shape, or hold anything else.
    """
