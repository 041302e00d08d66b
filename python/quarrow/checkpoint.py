# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are read tensor by tensor."""

import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from quarrow import _core
from quarrow.counts import counted
from quarrow.descriptions import ErrorStats
from quarrow.exceptions import InvalidInputError
from quarrow.file_arguments import Path, check_word, path_bytes
from quarrow.stored_dtypes import DLPACK_CODES, from_bytes, numpy_dtype


class TensorInfo(NamedTuple):
    """What a file says of a tensor, without its data.

    Attributes
    ----------
    name : str
        Any characters.
    dtype : str
        As safetensors spells it, and of the blocks in a GGUF file ggml: "BF16", "Q4_K". Of a
        quantized layer, the dtype that it had.
    shape : tuple of int
        Of a quantized layer, the shape that it had.
    nbytes : int
        In the file, scales and description included.
    format : Format or None
        How it is quantized; None for a plain tensor.
    file : str
        Which file it lies in.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    format: _core.Format | None
    file: str


class CheckpointTensor:
    """A tensor in a file, read when it is asked for.

    ``quarrow.quantize``, ``numpy.asarray`` and ``torch.from_dlpack`` take it as it is. With
    ``io="mmap"`` its arrays are views of the file's pages; writing to one changes no file. It can
    be read as long as the checkpoint is open; arrays stay valid for ever.

    Attributes
    ----------
    info : TensorInfo
        What the file says of it.
    """

    def __init__(self, opened: _core.OpenCheckpoint, index: int, info: TensorInfo) -> None:
        self._opened = opened
        self._index = index
        self.info = info

    @property
    def name(self) -> str:
        """As the file says."""
        return self.info.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self.info.shape

    @property
    def dtype(self) -> str:
        """As safetensors spells it, and of blocks ggml: "BF16", "Q4_K"."""
        return self.info.dtype

    @property
    def nbytes(self) -> int:
        """In the file, and in memory."""
        return self.info.nbytes

    def numpy(self) -> npt.NDArray[Any]:
        """Return the values.

        bfloat16 and float8 have the dtypes of ml_dtypes, and without it the unsigned integers of
        their width. Elements below a byte, and blocks of GGUF files, come as the bytes that hold
        them, in one dimension.

        Raises
        ------
        CheckpointError
            The file was changed since it was opened, or the tensor has more than 64 dimensions.
        InvalidInputError
            The checkpoint is closed.
        """
        values = from_bytes(self.stored_bytes(), self.dtype, self.shape, as_torch=False)
        assert isinstance(values, np.ndarray)
        return values

    def __array__(
        self,
        dtype: npt.DTypeLike | None = None,
        copy: bool | None = None,  # noqa: FBT001 (numpy's protocol)
    ) -> npt.NDArray[Any]:
        """Serve numpy's functions."""
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        """Export the values; see the array API standard."""
        return self._exporter().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Tell that they lie in memory of the CPU."""
        return (1, 0)

    def _exporter(self) -> Any:
        if self.dtype in DLPACK_CODES:
            data = self.stored_bytes()
            return _core.dlpack_array(data, data, *DLPACK_CODES[self.dtype], self.shape)
        if numpy_dtype(self.dtype) is None:
            msg = f"layer {self.name!r}: DLPack cannot carry {self.dtype}; numpy() gives its bytes"
            raise InvalidInputError(msg, name=self.name)
        return self.numpy()

    def stored_bytes(self) -> npt.NDArray[np.uint8]:
        """Return its data as the file holds it, in one dimension, whatever the dtype."""
        return self._opened.read(self._index, 0, self.nbytes)

    def __repr__(self) -> str:
        return f"<CheckpointTensor {self.name!r}: {self.dtype}, shape {self.shape}>"


class Checkpoint(Mapping[str, "CheckpointTensor | _core.QuantizedTensor"]):
    """The tensors of a checkpoint by name, read when they are asked for.

    ``quarrow.open`` makes it. A plain tensor comes as a ``CheckpointTensor``; a quantized layer is
    one tensor, whatever entries the file has for it, and comes as a ``QuantizedTensor``.

    Attributes
    ----------
    path : str
        As the caller named it.
    metadata : dict of str to str
        Of all files. The values of a GGUF file are strings, numbers, bools and lists of these;
        bytes of strings that are not UTF-8 are shown as escapes.
    files : list of str
        Those that hold tensors.
    nbytes : int
        Of all of them.
    """

    def __init__(self, path: Path, io: str = "read") -> None:
        check_word("io", io, "read", "mmap")
        encoded = path_bytes(path, "path")
        self.path = os.fsdecode(encoded)
        self._opened = _core.OpenCheckpoint(encoded, io)
        self._opened.find_layers()
        self.metadata = self._opened.metadata
        self.files = [os.fsdecode(each) for each in self._opened.paths]
        self.nbytes = self._opened.file_bytes
        self._index = {self._opened.name(index): index for index in range(len(self._opened))}

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __getitem__(self, name: str) -> CheckpointTensor | _core.QuantizedTensor:
        index = self._index[name]
        info = self.info(name)
        if info.format is not None:
            return self._opened.read_layer(index)
        return CheckpointTensor(self._opened, index, info)

    def info(self, name: str) -> TensorInfo:
        """Return what the files say of a tensor; its data is not read."""
        _, dtype, shape, nbytes, format, file = self._opened.item(self._index[name])
        return TensorInfo(name, dtype, shape, nbytes, format, self.files[file])

    def compare(self, name: str, other: "Checkpoint") -> ErrorStats | None:
        """Return how far a tensor of another checkpoint is from this one's; None for the same data.

        Both are float tensors or quantized layers of one shape, in any dtype and format. Memory
        does not grow with them.

        Raises
        ------
        KeyError
            One of them does not have the tensor.
        InvalidInputError
            The shapes differ, or the data does and is of no float type.
        """
        index, other_index = self._index[name], other._index[name]
        if self._opened.same_bytes(index, other._opened, other_index):
            return None
        return self._opened.compare(index, other._opened, other_index)

    def close(self) -> None:
        """Let go of the files. Arrays and quantized tensors that were read stay."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path!r}: {counted(len(self), 'tensor')}, {self.nbytes} bytes>"


def open(path: Path, *, io: str = "read") -> Checkpoint:
    """Open a checkpoint and read its header alone.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file, the ``.safetensors.index.json`` of several, or a ``.gguf`` file.
        What a file is its first bytes say, whatever its name.
    io : "read" or "mmap"
        Tensors are read into memory of their own, or are views of the file. A mapped file that
        another process cuts short ends this process with SIGBUS when the lost part is touched.

    Returns
    -------
    Checkpoint
        A mapping, and a context manager that closes it.

    Raises
    ------
    CheckpointError
        A file is damaged or something else.
    OSError
        The operating system refused: no such file, no permission.

    Examples
    --------
    >>> import tempfile, numpy as np, quarrow as qr
    >>> from safetensors.numpy import save_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> source, new = f"{folder.name}/model.safetensors", f"{folder.name}/int8.safetensors"
    >>> save_file({"q.weight": np.ones((8, 256), "f2"), "q.bias": np.zeros(8, "f2")}, source)
    >>> _ = qr.quantize_file(source, new, "int8_rowwise")
    >>> with qr.open(new) as checkpoint:
    ...     print(sorted(checkpoint), checkpoint["q.weight"].format.name)
    ...     print(checkpoint["q.bias"].numpy().sum())
    ['q.bias', 'q.weight'] int8_rowwise
    0.0
    >>> folder.cleanup()
    """
    return Checkpoint(path, io)
