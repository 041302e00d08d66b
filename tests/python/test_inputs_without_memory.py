# SPDX-License-Identifier: Apache-2.0
"""Arrays that have elements and no memory: refused before anything is read.

Those of torch are in `tests/oracles/test_torch_memory.py`.
"""

import ctypes
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr

SHAPE = (64, 128)
# Where the address lies in what a capsule holds; the device follows it.
ADDRESS = {b"dltensor": 0, b"dltensor_versioned": 32}


class NullDlpack:
    """Exports a tensor whose address is null."""

    def __init__(self, shape: tuple[int, ...] = SHAPE, *, versioned: bool = True) -> None:
        self._held = np.ones(shape, np.float32)
        self._versioned = versioned

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __dlpack__(self, **keywords: Any) -> object:
        capsule = self._held.__dlpack__(**(keywords if self._versioned else {}))
        pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
        pointer_of.restype = ctypes.c_void_p
        pointer_of.argtypes = (ctypes.py_object, ctypes.c_char_p)
        name = b"dltensor_versioned" if self._versioned and keywords else b"dltensor"
        ctypes.c_void_p.from_address(pointer_of(capsule, name) + ADDRESS[name]).value = None
        return capsule


NULL = {
    "DLPack": NullDlpack(),
    "DLPack, old": NullDlpack(versioned=False),
    "a buffer": (ctypes.c_float * SHAPE[1]).from_address(0),
    "a buffer of another byte order": (ctypes.c_float.__ctype_be__ * SHAPE[1]).from_address(0),
    "a memoryview": memoryview((ctypes.c_float * SHAPE[1]).from_address(0)),
    "a strided memoryview": memoryview((ctypes.c_float * SHAPE[1]).from_address(0))[::2],
}


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("w", NULL.values(), ids=NULL.keys())
def test_a_null_address_is_refused(w: Any, copy: bool) -> None:  # noqa: FBT001
    with pytest.raises(qr.InvalidInputError, match=r"^layer 'x': got \w+, whose address is null"):
        qr.quantize(w, "int8", name="x", copy=copy)
    with pytest.raises(qr.InvalidInputError, match=r"^layer 'x': got \w+, whose address is null"):
        qr.quantize_batch({"x": w}, "int8", copy=copy)


def test_a_null_original_is_refused() -> None:
    q = qr.quantize(np.ones(SHAPE, np.float32), "int8", name="x")
    with pytest.raises(qr.InvalidInputError, match=r"^layer 'x': .*address is null"):
        q.error(NullDlpack())


def test_a_null_capsule_is_refused() -> None:
    with pytest.raises(qr.InvalidInputError, match="got PyCapsule, whose address is null"):
        qr.quantize(NullDlpack().__dlpack__(), "int8")


def test_nothing_to_read_needs_no_address() -> None:
    assert qr.quantize(NullDlpack((0, 4)), "int8").shape == (0, 4)
    assert qr.quantize((ctypes.c_float * 0).from_address(0), "int8").shape == (0,)


class Deleted:
    """A jax array after ``delete()``: everything raises RuntimeError."""

    @property
    def shape(self) -> tuple[int, ...]:
        return SHAPE

    def _raise(self, **_: Any) -> Any:
        message = "Array has been deleted with shape=float32[64,128]."
        raise RuntimeError(message)

    __dlpack__ = __dlpack_device__ = __array__ = _raise


def test_what_was_deleted_is_refused_in_its_own_words() -> None:
    for copy in (False, True):
        with pytest.raises(qr.InvalidInputError, match=r"^layer 'x': .*Array has been deleted"):
            qr.quantize(Deleted(), "int8", name="x", copy=copy)


def test_a_memoryview_that_was_released_is_refused() -> None:
    view = np.ones(SHAPE, np.float32).data
    view.release()
    for copy in (False, True):
        with pytest.raises(qr.InvalidInputError, match=r"^layer 'x': .*released memoryview"):
            qr.quantize(view, "int8", name="x", copy=copy)


def test_a_mapping_cannot_be_closed_while_it_is_read(tmp_path: Path) -> None:
    """What holds a buffer of it keeps it open, so that no array of it loses its memory."""
    path = tmp_path / "w"
    path.write_bytes(np.ones(SHAPE, np.float32).tobytes())
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    array = np.frombuffer(mapped, np.float32).reshape(SHAPE)
    with pytest.raises(BufferError):
        mapped.close()
    assert qr.quantize(array, "int8") == qr.quantize(np.ones(SHAPE, np.float32), "int8")
    view = memoryview(mapped).cast("f", SHAPE)
    view.release()
    del array
    mapped.close()
    with pytest.raises(qr.InvalidInputError, match="released memoryview"):
        qr.quantize(view, "int8")
