# SPDX-License-Identifier: Apache-2.0
"""What is done with the bytes of the fuzzer in Python, and what is promised of it.

Whatever the bytes: a result that keeps its promises, or one of the exceptions that are documented.
Anything else escapes, and ends the run.
"""

import contextlib
import os
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import quarrow as qr

# What a program that uses the package has to expect. TypeError is that of a call with wrong types.
EXPECTED = (qr.QuarrowError, OSError, MemoryError)
MISUSE = (*EXPECTED, TypeError)
# Larger ones say nothing more, and take long.
MOST_BYTES = 1 << 20

DTYPES = ["float32", "float16", "bfloat16", "float64"]
DIMENSIONS = [0, 1, 2, 3, 8, 33, 64, 128, 2**31, 2**62, 2**63, 2**64, -1]
FORMATS = ["int8", "int4", "int2", "int8_rowwise"]


class MemoryFile:
    """A file without a disk, opened by its path as any other."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("input")
        self.path = f"/proc/self/fd/{self._descriptor}"

    def write(self, data: bytes) -> None:
        """Make these bytes all that it holds."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)


def use_tensor(q: qr.QuantizedTensor, draw: random.Random) -> None:
    """Do everything that can be done with a tensor."""
    assert q == q.copy()
    assert pickle.loads(pickle.dumps(q)) == q
    assert repr(q).startswith("QuantizedTensor(")
    values = q.dequantize(draw.choice(DTYPES[:3]))
    assert values.shape == q.shape
    with contextlib.suppress(*EXPECTED):
        # Scales that are not finite give values that are not.
        assert qr.quantize(values, q.format).shape == q.shape
    with contextlib.suppress(*EXPECTED):
        q.error(values)


def use_file(path: str, draw: random.Random) -> None:
    """Open it, and read everything in it."""
    with qr.open(path, io=draw.choice(["read", "mmap"])) as checkpoint:
        assert len(set(checkpoint)) == len(checkpoint)
        for name in checkpoint:
            info = checkpoint.info(name)
            if info.nbytes > MOST_BYTES or (info.format and 0 in info.shape):
                continue
            try:
                use_entry(checkpoint[name], info, draw)
            except EXPECTED as error:
                # An empty name is none.
                assert (getattr(error, "name", name) or "") == name  # noqa: PT017
    with contextlib.suppress(*EXPECTED):
        qr.quantize_file(
            path, "/dev/shm/quarrow-fuzz.safetensors", draw.choice(FORMATS), dry_run=True
        )


def use_entry(entry: Any, info: Any, draw: random.Random) -> None:
    """Read a tensor of a file in every way."""
    if isinstance(entry, qr.QuantizedTensor):
        assert entry.shape == info.shape
        use_tensor(entry, draw)
        return
    values = entry.numpy()
    assert values.nbytes == info.nbytes
    with contextlib.suppress(*EXPECTED):
        assert qr.quantize(entry, draw.choice(FORMATS), copy=True).shape == info.shape
    with contextlib.suppress(*EXPECTED, BufferError):
        # numpy itself refuses what it cannot export.
        entry.__dlpack__(max_version=(1, 0))


def some_array(draw: random.Random) -> Any:
    """Draw an array that may fit a part of a tensor."""
    shape = [draw.choice([0, 1, 2, 8, 64]) for _ in range(draw.randrange(4))]
    array: Any = np.ones(shape, draw.choice(["u1", "i1", "f2", "f4", ">f4", "f8", "O"]))
    return draw.choice(
        [array, array.T, array[::-1] if array.ndim else array, array.tolist(), np.asfortranarray]
    )


def some_value(draw: random.Random) -> Any:
    """Draw what may stand for any argument."""
    number = draw.choice(DIMENSIONS)
    shape = tuple(draw.choice(DIMENSIONS) for _ in range(draw.randrange(70)))
    kinds: list[Any] = [
        None, True, number, float(number), "x", "\ud800", b"x", shape, list(shape), (1,) * 65,
        draw.choice(DTYPES), draw.choice(FORMATS), qr.Format(draw.choice(FORMATS)), {}, object(),
    ]  # fmt: skip
    return some_array(draw) if draw.random() < 0.3 else draw.choice(kinds)


def some_tensor(draw: random.Random) -> qr.QuantizedTensor:
    """Quantize something small."""
    shape = [draw.choice([1, 2, 3, 8, 33]) for _ in range(draw.choice([1, 2, 2, 3, 5, 40, 64]))]
    while np.prod(shape, dtype=float) > 5000:
        shape[draw.randrange(len(shape))] = 1
    values = np.linspace(-1, 1, int(np.prod(shape)), dtype=draw.choice(["f2", "f4", "f8"]))
    format_ = draw.choice(FORMATS)
    fields: dict[str, Any] = {}
    if format_ != "int8_rowwise":
        fields["group_size"] = draw.choice([1, 2, 32, 128, "row", "tensor"])
        fields["symmetric"] = draw.random() < 0.5
        fields["scale_dtype"] = draw.choice(DTYPES[:3])
    return qr.quantize(values.reshape(shape), format_, **fields)


def use_arguments(draw: random.Random) -> None:
    """Build a tensor as its constructor and its pickles do, from changed parts."""
    function, arguments = some_tensor(draw).__reduce__()
    changed = list(arguments)
    for _ in range(draw.randrange(3)):
        changed[draw.randrange(len(changed))] = some_value(draw)
    use_tensor(function(*changed), draw)


def use_call(draw: random.Random) -> None:
    """Quantize anything, perhaps into the parts of another tensor."""
    q = some_tensor(draw)
    w = some_value(draw)
    out: Any = draw.choice([None, q, (q.codes, q.scales, q.zero_points), (q.codes,) * 3, w])
    qr.quantize(w, q.format, out=out, copy=draw.random() < 0.5, name=draw.choice([None, "x"]))


def use_out(draw: random.Random) -> None:
    """Restore a tensor into anything."""
    q = some_tensor(draw)
    dtype = draw.choice([*DTYPES, some_value(draw)])
    out = draw.choice([np.zeros(q.shape, "f4"), q.codes, q.scales, some_value(draw)])
    q.dequantize(dtype, out=out)


CALLS: list[Callable[[random.Random], None]] = [use_arguments, use_call, use_out]


class Target:
    """Called with the bytes of the fuzzer."""

    def __init__(self) -> None:
        self._file = MemoryFile()

    def __call__(self, data: bytes) -> None:
        """Take the bytes for a file, and for the seed of a few calls."""
        draw = random.Random(data)
        self._file.write(data)
        with contextlib.suppress(*EXPECTED):
            use_file(self._file.path, draw)
        for call in CALLS:
            with contextlib.suppress(*MISUSE):
                call(draw)
