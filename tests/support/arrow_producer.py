# SPDX-License-Identifier: Apache-2.0
"""A producer of Arrow data made by hand, which counts releases and breaks what a test asks for.

Columns of names and of weights, as the C data interface lays them down.
"""

import ctypes
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Schema(ctypes.Structure):
    """The struct ArrowSchema."""


Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(Schema))),
    ("dictionary", ctypes.POINTER(Schema)),
    ("release", RELEASE),
    ("private_data", ctypes.c_void_p),
]


class Array(ctypes.Structure):
    """The struct ArrowArray."""


Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(Array))),
    ("dictionary", ctypes.POINTER(Array)),
    ("release", RELEASE),
    ("private_data", ctypes.c_void_p),
]


GET_SCHEMA = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Schema))
GET_NEXT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Array))
GET_LAST_ERROR = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


class Stream(ctypes.Structure):
    """The struct ArrowArrayStream."""

    _fields_ = [
        ("get_schema", GET_SCHEMA),
        ("get_next", GET_NEXT),
        ("get_last_error", GET_LAST_ERROR),
        ("release", RELEASE),
        ("private_data", ctypes.c_void_p),
    ]


ctypes.pythonapi.PyCapsule_New.restype = ctypes.py_object
ctypes.pythonapi.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

Change = Callable[[Any], object]


@dataclass
class Part:
    """A column or what lies below it: an array and its type, the validity as its first buffer."""

    format: bytes
    length: int
    buffers: list[NDArray[Any] | None]
    children: list["Part"] = field(default_factory=list)
    name: bytes = b"item"
    offset: int = 0


# Consumers hold nothing but pointers.
ALL: list["Producer"] = []


def unchanged(_: Any) -> None:
    """Leave a struct as it is."""


class Producer:
    """Lends its memory to each consumer, and counts what comes back.

    Two rows, unless ``columns`` are others. ``schema`` and ``array`` change the structs before they
    are handed out; ``fail`` is the batch whose get_next returns ``errno``, with ``message``.
    """

    def __init__(
        self,
        *,
        columns: list[Part] | None = None,
        schema: Change = unchanged,
        array: Change = unchanged,
        stream: Change = unchanged,
        batches: int = 1,
        fail: int | None = None,
        errno: int = 5,
        message: bytes | None = None,
    ) -> None:
        ALL.append(self)
        self.released: Counter[str] = Counter()
        self.given: Counter[str] = Counter()
        self._change = {"schema": schema, "array": array, "stream": stream}
        self._left = batches
        self._fail = fail
        self._errno = errno
        self._message = None if message is None else ctypes.create_string_buffer(message)
        self._kept: list[Any] = []
        self.values = np.linspace(-1, 1, 7, dtype=np.float32)
        text = np.frombuffer(b"abc", np.uint8)
        items = Part(b"f", 7, [None, self.values])
        lists = Part(b"+l", 2, [None, np.array([0, 3, 7], np.int32)], [items], b"weights")
        names = Part(b"u", 2, [None, np.array([0, 1, 3], np.int32), text], name=b"layer_name")
        columns = [names, lists] if columns is None else columns
        self._whole = Part(b"+s", columns[0].length, [None], columns, b"")

    def _releaser(self, kind: str, struct: type[Any]) -> Any:
        """Make the function that releases a whole struct; its children are the producer's own."""

        def release(address: int) -> None:
            self.released[kind] += 1
            struct.from_address(address).release = RELEASE(0)

        function = RELEASE(release)
        self._kept.append(function)
        return function

    def _pointers(self, kind: Any, targets: list[Any]) -> Any:
        pointers = (ctypes.POINTER(kind) * len(targets))(*map(ctypes.pointer, targets))
        self._kept.append((pointers, targets))
        return pointers

    def _schema(self, part: Part) -> Schema:
        made = Schema(format=part.format, name=part.name, n_children=len(part.children))
        made.children = self._pointers(Schema, [self._schema(child) for child in part.children])
        made.release = self._releaser("part of a schema", Schema)
        return made

    def _array(self, part: Part) -> Array:
        addresses = [None if each is None else each.ctypes.data for each in part.buffers]
        pointers = (ctypes.c_void_p * len(addresses))(*addresses)
        self._kept.append(pointers)
        made = Array(length=part.length, offset=part.offset, buffers=pointers)
        made.null_count = -1  # not computed
        made.n_buffers, made.n_children = len(addresses), len(part.children)
        made.children = self._pointers(Array, [self._array(child) for child in part.children])
        made.release = self._releaser("part of an array", Array)
        return made

    def _hand_out(self, kind: str, made: Any, out: Any) -> None:
        made.release = self._releaser(kind, type(made))
        ctypes.memmove(ctypes.addressof(out), ctypes.addressof(made), ctypes.sizeof(made))
        self._kept.append(made)
        self.given[kind] += 1
        self._change[kind](out)

    def fill_schema(self, out: Schema) -> None:
        """Write the schema."""
        self._hand_out("schema", self._schema(self._whole), out)

    def fill_array(self, out: Array) -> None:
        """Write a batch."""
        self._hand_out("array", self._array(self._whole), out)

    def _capsule(self, struct: Any, name: bytes) -> Any:
        self._kept.append((struct, name))
        return ctypes.pythonapi.PyCapsule_New(ctypes.addressof(struct), name, None)

    def __arrow_c_stream__(self, _schema: object = None) -> object:
        """Export the batches."""

        def get_schema(_: int, out: Any) -> int:
            self.fill_schema(out.contents)
            return 0

        def get_next(_: int, out: Any) -> int:
            ctypes.memset(out, 0, ctypes.sizeof(Array))
            if self._fail == self.given["array"]:
                return self._errno
            if self._left > 0:
                self._left -= 1
                self.fill_array(out.contents)
            return 0

        stream = Stream(
            get_schema=GET_SCHEMA(get_schema),
            get_next=GET_NEXT(get_next),
            get_last_error=GET_LAST_ERROR(
                lambda _: None if self._message is None else ctypes.addressof(self._message)
            ),
            release=self._releaser("stream", Stream),
        )
        self.given["stream"] += 1
        self._change["stream"](stream)
        return self._capsule(stream, b"arrow_array_stream")

    def pair(self) -> tuple[object, object]:
        """Export a batch alone, as __arrow_c_array__ does."""
        schema, array = Schema(), Array()
        self.fill_schema(schema)
        self.fill_array(array)
        return self._capsule(schema, b"arrow_schema"), self._capsule(array, b"arrow_array")
