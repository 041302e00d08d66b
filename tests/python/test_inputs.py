# SPDX-License-Identifier: Apache-2.0
"""Every kind of input: read in place, copied where permitted, or refused in words."""

import array
import ctypes
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


class OnlyDlpack:
    """A tensor that is seen through DLPack alone."""

    def __init__(self, held: NDArray[Any], *, device: int = 1, versions: bool = True) -> None:
        self._held = held
        self._device = device
        self._versions = versions

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device, 0

    def __dlpack__(self, **keywords: Any) -> object:
        if keywords and not self._versions:
            message = "unexpected keyword"
            raise TypeError(message)
        if self._device != 1:
            message = "not on this device"
            raise BufferError(message)
        return self._held.__dlpack__(**keywords)


READ_IN_PLACE = {
    "float32": weights(6, 40),
    "float16": weights(6, 40).astype(np.float16),
    "float64": weights(6, 40).astype(np.float64),
    "bfloat16": weights(6, 40).astype(ml_dtypes.bfloat16),
    "strided rows": weights(12, 40)[::2],
    "reversed rows": weights(6, 40)[::-1],
    "a window": weights(8, 60)[1:7, 11:51],
    "bfloat16 window": weights(8, 60).astype(ml_dtypes.bfloat16)[1:7, 11:51],
    "unaligned": np.frombuffer(b"x" + weights(6, 40).tobytes(), np.float32, offset=1).reshape(
        6, 40
    ),
    "one row of a transposed column": weights(40, 1).T,
    "rows that repeat": np.broadcast_to(weights(1, 40), (6, 40)),
    "slices of planes": weights(6, 4, 10)[::3],
    "a subclass": weights(6, 40).view(np.recarray),
}


@pytest.mark.parametrize("w", READ_IN_PLACE.values(), ids=READ_IN_PLACE.keys())
@pytest.mark.parametrize("writable", [True, False])
def test_read_in_place(w: NDArray[Any], writable: bool) -> None:  # noqa: FBT001
    view = w.view()
    if not writable or not w.flags.writeable:
        view.flags.writeable = False
    q = qr.quantize(view, "int8")
    assert q.stats.bytes_copied == 0
    assert q.shape == w.shape
    assert q.dtype == w.dtype
    contiguous = np.array(w.astype(np.float64 if w.dtype == np.float64 else np.float32))
    expected = qr.quantize(np.ascontiguousarray(contiguous), "int8")
    np.testing.assert_array_equal(q.codes, expected.codes)
    np.testing.assert_array_equal(q.scales, expected.scales)


def test_dlpack_old_and_versioned() -> None:
    w = weights(6, 40)
    expected = qr.quantize(w, "int4")
    assert qr.quantize(OnlyDlpack(w), "int4") == expected
    assert qr.quantize(OnlyDlpack(w, versions=False), "int4") == expected
    assert qr.quantize(OnlyDlpack(w[::2]), "int4") == qr.quantize(w[::2], "int4")
    assert qr.quantize(w.__dlpack__(), "int4") == expected
    assert qr.quantize(w.__dlpack__(max_version=(1, 0)), "int4") == expected
    w.flags.writeable = False
    assert qr.quantize(OnlyDlpack(w), "int4") == expected


def test_the_buffer_protocol() -> None:
    w = weights(40)
    expected = qr.quantize(w, "int4")
    assert qr.quantize(array.array("f", w.tolist()), "int4") == expected
    assert qr.quantize(w.data, "int4") == expected
    assert qr.quantize(memoryview(w.tobytes()).cast("f"), "int4") == expected
    assert qr.quantize((ctypes.c_float * 40)(*w.tolist()), "int4") == expected
    assert qr.quantize(array.array("d", w.tolist()), "int4").dtype == np.float64


def test_a_buffer_is_held_while_it_is_read_and_not_longer() -> None:
    held = array.array("f", [1.0, 2.0])
    qr.quantize(held, "int4")
    held.append(3.0)


COPIED = {
    "columns apart": (weights(6, 80)[:, ::2], "not contiguous", "np.ascontiguousarray"),
    "transposed": (weights(40, 6).T, "not contiguous", "copy=True"),
    "a strided vector": (weights(80)[::2], "not contiguous", "copy=True"),
    "planes turned": (weights(6, 4, 10).swapaxes(1, 2), "not contiguous", "copy=True"),
    "bfloat16 columns": (
        weights(6, 80).astype(ml_dtypes.bfloat16)[:, ::2],
        "not contiguous",
        "copy=True",
    ),
    "big-endian": (weights(6, 40).astype(">f4"), "byte order of dtype '>f4'", "astype"),
    "big-endian half": (weights(6, 40).astype(">f2"), "byte order of dtype '>f2'", "copy=True"),
    "a memoryview of columns": (weights(80).data[::2], "not contiguous", "copy=True"),
    "DLPack columns": (OnlyDlpack(weights(6, 80)[:, ::2]), "not contiguous", "copy=True"),
}


@pytest.mark.parametrize(("w", "message", "remedy"), COPIED.values(), ids=COPIED.keys())
def test_copied_only_where_permitted(w: Any, message: str, remedy: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'x': .*{message}.*{remedy}"):
        qr.quantize(w, "int8", name="x")
    q = qr.quantize(w, "int8", copy=True)
    plain = np.array(w._held if isinstance(w, OnlyDlpack) else w)
    native = np.ascontiguousarray(plain, dtype=plain.dtype.newbyteorder("="))
    assert q.stats.bytes_copied == native.nbytes
    assert q == qr.quantize(native, "int8")
    assert qr.quantize(native, "int8", copy=True).stats.bytes_copied == 0


class HasArray:
    """Something like a pandas column."""

    def __array__(self, dtype: object = None, copy: object = None) -> NDArray[np.float32]:
        return weights(40)


def test_objects_that_only_convert_to_arrays_need_permission() -> None:
    with pytest.raises(qr.InvalidInputError, match=r"got HasArray; pass np.asarray\(w\)"):
        qr.quantize(HasArray(), "int8")
    assert qr.quantize(HasArray(), "int8", copy=True) == qr.quantize(weights(40), "int8")


REFUSED = {
    "None": (None, "got None"),
    "a list": ([1.0, 2.0], "got list; pass np.asarray"),
    "a tuple": ((1.0,), "got tuple"),
    "a dict": ({"a": weights(2)}, "got dict"),
    "a float": (1.0, "single number 1.0 of type float"),
    "a bool": (True, "single number True"),
    "a numpy scalar": (np.float32(1), r"single number np.float32\(1.0\)"),
    "bytes": (b"12345678", "got bytes, which has no element type; pass np.frombuffer"),
    "bytearray": (bytearray(8), "got bytearray"),
    "a str": ("weights", "got str"),
    "an object": (object(), "got object, which is not a tensor"),
    "a class": (np.ndarray, "got the class ndarray"),
    "a memoryview of bytes": (memoryview(b"12345678"), "got dtype uint8"),
    "ints": (
        np.ones((2, 2), np.int32),
        r"got dtype int32; accepted are float32, .*; pass w.astype",
    ),
    "uint16": (np.ones(4, np.uint16), "got dtype uint16"),
    "bools": (np.ones(4, bool), "got dtype bool"),
    "complex": (np.ones(4, np.complex64), "got dtype complex64; .*real"),
    "objects": (np.array([1.0, None]), "got dtype object"),
    "strings": (np.array(["1"]), "got dtype str"),
    "dates": (np.zeros(2, "M8[s]"), "got dtype datetime64"),
    "records": (np.zeros(2, [("a", "f4")]), "got dtype"),
    "float8": (np.ones(4, ml_dtypes.float8_e4m3fn), "got dtype float8_e4m3fn"),
    "long double": (np.ones(4, np.longdouble), r"got dtype \w+; .*astype\(np.float64\)"),
    "0-d": (np.array(1.0, np.float32), r"got a 0-d array .*reshape\(1\)"),
    "0-d bfloat16": (np.array(1, ml_dtypes.bfloat16), "0-d"),
    "another device": (OnlyDlpack(weights(2), device=2), "DLPack device type 2, not on the CPU"),
    "DLPack ints": (OnlyDlpack(np.ones(4, np.int64)), "got dtype int64"),
    "array.array of ints": (array.array("i", [1]), "got dtype int32"),
}


@pytest.mark.parametrize(("w", "message"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("copy", [False, True])
def test_refused_in_words(w: Any, message: str, copy: bool) -> None:  # noqa: FBT001
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'x': .*{message}") as caught:
        qr.quantize(w, "int8", name="x", copy=copy)
    assert caught.value.name == "x"
    assert "\n" not in str(caught.value)
    with pytest.raises(qr.InvalidInputError) as unnamed:
        qr.quantize(w, "int8", copy=copy)
    assert unnamed.value.name is None
    assert not str(unnamed.value).startswith("layer")


def test_a_size_beyond_63_bits_is_refused() -> None:
    huge = np.broadcast_to(np.ones(2**20, np.float16), (2**41, 2**20))
    with pytest.raises(qr.InvalidInputError, match=r"\(2199023255552, 1048576\) is too large"):
        qr.quantize(huge, "int8", group_size=1)


def test_a_capsule_that_is_offered_twice_is_read_once() -> None:
    w = weights(4, 128)

    class Cached(OnlyDlpack):
        def __init__(self) -> None:
            super().__init__(w)
            self.capsule = w.__dlpack__()

        def __dlpack__(self, **_: Any) -> object:
            return self.capsule

    cached = Cached()
    references = sys.getrefcount(w)
    assert qr.quantize(cached, "int4") == qr.quantize(w, "int4")
    # The mark that says so; without it the next reader would read freed memory.
    is_valid = ctypes.pythonapi.PyCapsule_IsValid
    is_valid.argtypes = [ctypes.py_object, ctypes.c_char_p]
    assert is_valid(cached.capsule, b"used_dltensor")
    for _ in range(3):
        with pytest.raises(qr.InvalidInputError, match="Cached"):
            qr.quantize(cached, "int4")
    assert sys.getrefcount(w) == references - 1


def test_an_interrupt_while_exporting_is_passed_on() -> None:
    class Interrupted(OnlyDlpack):
        interrupted = False

        def __dlpack__(self, **keywords: Any) -> object:
            if not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            return super().__dlpack__(**keywords)

    with pytest.raises(KeyboardInterrupt):
        qr.quantize(Interrupted(weights(4, 128)), "int4")


def test_a_size_that_is_only_claimed_costs_nothing() -> None:
    """A view of 512 bytes that says 512 TB: refused before anything of that size is made."""
    claimed = np.broadcast_to(np.zeros(128, np.float32), (2**40, 128))
    with pytest.raises(MemoryError):
        qr.quantize(claimed, "int4")
    tiny = qr.quantize(np.ones((1, 1), np.float32), "int8")
    with pytest.raises(qr.InvalidInputError, match="codes must be"):
        qr.QuantizedTensor(tiny.codes, tiny.scales, tiny.zero_points, tiny.format, (2**45, 128))


def test_a_capsule_of_another_device_is_not_read() -> None:
    class Elsewhere:
        def __dlpack__(self, **_: object) -> object:
            capsule = weights(4, 8).__dlpack__()
            pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
            pointer_of.restype, pointer_of.argtypes = (
                ctypes.c_void_p,
                (ctypes.py_object, ctypes.c_char_p),
            )
            # A DLTensor: the data's pointer, then the type of the device.
            ctypes.c_int32.from_address(pointer_of(capsule, b"dltensor") + 8).value = 2
            return capsule

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    with pytest.raises(qr.InvalidInputError, match="device type 2, not on the CPU"):
        qr.quantize(Elsewhere(), "int8")
