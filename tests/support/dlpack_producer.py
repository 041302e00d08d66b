# SPDX-License-Identifier: Apache-2.0
"""An exporter of DLPack tensors made by hand: any version, shape and strides over a numpy array."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Tensor(ctypes.Structure):
    """The struct DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Old(ctypes.Structure):
    """The struct DLManagedTensor."""

    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class Versioned(ctypes.Structure):
    """The struct DLManagedTensorVersioned."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


ctypes.pythonapi.PyCapsule_New.restype = ctypes.py_object
ctypes.pythonapi.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class DlpackProducer:
    """Exports ``values`` (float32) under a shape and strides that need not be theirs.

    ``version`` is (major, minor), or None for a capsule from before versions; ``offset`` is in
    bytes. It is no array but for ``__dlpack__``, and must live until its capsule was used.
    """

    def __init__(
        self,
        values: NDArray[np.float32],
        shape: Sequence[int],
        *,
        strides: Sequence[int] | None = None,
        version: tuple[int, int] | None = None,
        ndim: int | None = None,
        offset: int = 0,
    ) -> None:
        self._values = values
        self._shape = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        self._strides = None if strides is None else (ctypes.c_int64 * len(strides))(*strides)
        tensor = Tensor(
            data=values.ctypes.data,
            device_type=1,
            ndim=len(shape) if ndim is None else ndim,
            code=2,
            bits=32,
            lanes=1,
            shape=self._shape,
            byte_offset=offset,
        )
        if self._strides is not None:
            tensor.strides = self._strides
        self.deleted = 0
        self._deleter = DELETER(self._delete)
        self._held: Old | Versioned
        if version is None:
            self._name = b"dltensor"
            self._held = Old(tensor=tensor, deleter=self._deleter)
        else:
            self._name = b"dltensor_versioned"
            self._held = Versioned(*version, deleter=self._deleter, tensor=tensor)

    def _delete(self, _: int) -> None:
        self.deleted += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        """Say that it lies in memory of the CPU."""
        return 1, 0

    def __dlpack__(self, **_: Any) -> object:
        """Export it."""
        return ctypes.pythonapi.PyCapsule_New(ctypes.addressof(self._held), self._name, None)
