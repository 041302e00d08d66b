# SPDX-License-Identifier: Apache-2.0
"""A producer of Arrow data made by hand, which counts releases and breaks what a test asks for.

One column of names and one of lists of float32, as the C data interface lays them down.
"""

import ctypes
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

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


# Consumers hold nothing but pointers.
ALL: list["Producer"] = []


def unchanged(_: Any) -> None:
    """Leave a struct as it is."""


class Producer:
    """Lends its memory to each consumer, and counts what comes back.

    ``schema`` and ``array`` change the structs before they are handed out; ``fail`` is the batch
    whose get_next returns ``errno``, with ``message``.
    """

    def __init__(
        self,
        *,
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
        self._buffers = [
            np.frombuffer(b"abc", np.uint8),
            np.array([0, 1, 3], np.int32),
            np.array([0, 3, 7], np.int32),
        ]

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

    def fill_schema(self, out: Schema) -> None:
        """Write the schema."""
        keep = self._releaser("part of a schema", Schema)
        item = Schema(format=b"f", name=b"item", release=keep)
        names = Schema(format=b"u", name=b"layer_name", release=keep)
        weights = Schema(format=b"+l", name=b"weights", n_children=1, release=keep)
        weights.children = self._pointers(Schema, [item])
        out.format, out.name, out.n_children = b"+s", b"", 2
        out.children = self._pointers(Schema, [names, weights])
        out.release = self._releaser("schema", Schema)
        self.given["schema"] += 1
        self._change["schema"](out)

    def _array(self, length: int, buffers: list[Any]) -> Array:
        addresses = [None if each is None else each.ctypes.data for each in buffers]
        pointers = (ctypes.c_void_p * len(addresses))(*addresses)
        self._kept.append(pointers)
        return Array(
            length=length,
            null_count=-1,  # not computed
            n_buffers=len(addresses),
            buffers=pointers,
            release=self._releaser("part of an array", Array),
        )

    def fill_array(self, out: Array) -> None:
        """Write a batch of two rows."""
        text, text_offsets, list_offsets = self._buffers
        names = self._array(2, [None, text_offsets, text])
        weights = self._array(2, [None, list_offsets])
        weights.n_children = 1
        weights.children = self._pointers(Array, [self._array(7, [None, self.values])])
        whole = self._array(2, [None])
        ctypes.memmove(ctypes.addressof(out), ctypes.addressof(whole), ctypes.sizeof(Array))
        out.n_children = 2
        out.children = self._pointers(Array, [names, weights])
        out.release = self._releaser("array", Array)
        self.given["array"] += 1
        self._change["array"](out)

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
