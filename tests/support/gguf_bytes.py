# SPDX-License-Identifier: Apache-2.0
"""GGUF files made piece by piece, so that each piece may be wrong. Knows nothing of ours."""

import struct
from collections.abc import Sequence

U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64 = range(13)

_LETTERS = {
    U8: "B",
    I8: "b",
    U16: "H",
    I16: "h",
    U32: "I",
    I32: "i",
    F32: "f",
    BOOL: "B",
    U64: "Q",
    I64: "q",
    F64: "d",
}


def text(value: str | bytes) -> bytes:
    """Return a length and letters."""
    encoded = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(encoded)) + encoded


def stored(kind: int, value: object) -> bytes:
    """Return a value that is no list as it is stored."""
    if kind == TEXT:
        assert isinstance(value, str | bytes)
        return text(value)
    return struct.pack("<" + _LETTERS[kind], value)


def key(name: str | bytes, kind: int, value: object) -> bytes:
    """Return a key and its value; bytes are the value as it is stored, but of texts."""
    raw = value if isinstance(value, bytes) and kind != TEXT else stored(kind, value)
    return text(name) + struct.pack("<I", kind) + raw


def items(kind: int, values: Sequence[object]) -> bytes:
    """Return the value of a list."""
    head = struct.pack("<IQ", kind, len(values))
    return head + b"".join(stored(kind, each) for each in values)


def tensor(name: str | bytes, dimensions: Sequence[int], kind: int, offset: int) -> bytes:
    """Return what the header says of a tensor; the innermost dimension first."""
    numbers = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + numbers + struct.pack("<IQ", kind, offset)


def gguf(
    keys: Sequence[bytes] = (),
    tensors: Sequence[bytes] = (),
    data: bytes = b"",
    *,
    version: int = 3,
    alignment: int = 32,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """Return a file; `counts` says that it has other numbers of tensors and keys."""
    said = counts or (len(tensors), len(keys))
    head = b"GGUF" + struct.pack("<IQQ", version, *said) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data
