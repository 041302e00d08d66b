# SPDX-License-Identifier: Apache-2.0
"""What to do with an input that the compiled part cannot read in place.

Runs only then. It finds a view that can be read, makes a copy where the caller permits one, or says
what is wrong and how to put it right.
"""

from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from quarrow.exceptions import QuarrowError
from quarrow.rejection import Rejection
from quarrow.safe_repr import safe_repr
from quarrow.torch_tensors import first_line, is_torch_tensor, plain_tensor, torch_alone

_ACCEPTED = "float32, float16, bfloat16 or float64"
_FLOATS = ("float32", "float16", "float64")
_LONGEST_REPR = 60
# DLPack's kDLCPU and kDLCUDAHost.
_READABLE_DEVICES = (1, 3)


def readable(w: object, name: str | None, copy: bool) -> tuple[object, str | None, int]:  # noqa: FBT001
    """Find or make an array that the compiled part can read.

    Parameters
    ----------
    w : object
        What the caller passed.
    name : str or None
        The layer, for the message.
    copy : bool
        Permits a copy.

    Returns
    -------
    tuple
        The array; the name of its dtype where the array's own does not say it ("bfloat16" for
        uint16), or None; the bytes that were copied.

    Raises
    ------
    InvalidInputError
        It cannot be read, or only after a copy that was not permitted.
    """
    reject = Rejection(name)
    _reject_non_tensors(w, reject)
    if is_torch_tensor(w):
        return _readable_torch(w, reject, copy=copy)
    array, copied = _as_numpy(w, reject, copy=copy)
    if array.dtype.name not in (*_FLOATS, "bfloat16"):
        _reject_dtype(array.dtype, reject)
    if array.ndim == 0:
        reject(f"got a 0-d array ({_short(array)}); pass array.reshape(1)")
    if not array.dtype.isnative or not _columns_contiguous(array):
        if not copy:
            reject(_copy_needed(array))
        copied += array.nbytes
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if array.dtype.name == "bfloat16":
        # numpy has no buffer format for it.
        return array.view(np.uint16), "bfloat16", copied
    return array, None, copied


def _short(value: object) -> str:
    text = " ".join(safe_repr(value).split())
    return text if len(text) <= _LONGEST_REPR else text[:_LONGEST_REPR] + "..."


def _reject_non_tensors(w: object, reject: Rejection) -> None:
    if w is None:
        reject("got None instead of a tensor; pass a numpy array or a DLPack tensor")
    if isinstance(w, bool | int | float | complex | np.generic):
        reject(
            f"got the single number {_short(w)} of type {type(w).__name__}; "
            "pass np.array([...], dtype=np.float32)"
        )
    if isinstance(w, list | tuple):
        reject(f"got {type(w).__name__}; pass np.asarray(values, dtype=np.float32)")
    if isinstance(w, bytes | bytearray | str):
        remedy = "" if isinstance(w, str) else "; pass np.frombuffer(data, dtype=np.float32)"
        reject(f"got {type(w).__name__}, which has no element type{remedy}")
    if isinstance(w, type):
        reject(f"got the class {w.__name__}; pass one of its instances")
    if isinstance(w, dict):
        reject("got dict; pass its tensors one by one")


def _readable_torch(w: Any, reject: Rejection, *, copy: bool) -> tuple[object, None, int]:
    tensor = plain_tensor(w, reject)
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_quantized:
        reject(f"got a tensor of {dtype}; accepted are {_ACCEPTED}; pass tensor.dequantize()")
    if dtype not in (*_FLOATS, "bfloat16"):
        reject(f"got a tensor of {dtype}; accepted are {_ACCEPTED}; pass tensor.float()")
    with torch_alone():
        reason = _why_a_copy(tensor, reject)
        if not reason:
            return tensor, None, 0
        if not copy:
            reject(f"{reason}, or copy=True")
        try:
            copied = tensor.cpu().resolve_neg().contiguous()
        except RuntimeError as error:
            reject(f"the tensor cannot be copied ({first_line(error)}); copy it to the CPU first")
        return copied, None, copied.nbytes


def _why_a_copy(tensor: Any, reject: Rejection) -> str:
    """Why it cannot be read in place, and what to pass; empty when it can."""
    if tensor.device.type != "cpu":
        return f"the tensor is on the device {str(tensor.device)!r}; pass tensor.cpu()"
    if tensor.dim() == 0:
        reject(f"got a 0-d tensor ({tensor.item()}); pass tensor.reshape(1)")
    if tensor.is_neg():
        return "the tensor has its negative bit set; pass tensor.resolve_neg()"
    if not _torch_columns_contiguous(tensor):
        return (
            f"the tensor of shape {tuple(tensor.shape)} and strides {tensor.stride()} is not "
            "contiguous within its rows; pass tensor.contiguous()"
        )
    return ""


def _torch_columns_contiguous(tensor: Any) -> bool:
    if tensor.dim() == 1:
        return cast("bool", tensor.is_contiguous())
    return tensor.shape[0] == 0 or cast("bool", tensor[0].is_contiguous())


def _as_numpy(w: Any, reject: Rejection, *, copy: bool) -> tuple[NDArray[Any], int]:
    """View `w` through numpy; also the bytes that had to be copied for it."""
    if isinstance(w, np.ndarray):
        return w, 0
    accepted = f"pass a numpy array or a DLPack tensor of {_ACCEPTED}"
    try:
        check_on_cpu(w, reject)
        if hasattr(w, "__dlpack__"):
            return np.from_dlpack(w), 0
        if hasattr(w, "__array__"):
            if copy:
                array = np.asarray(w)
                return array, array.nbytes
            reject(f"got {type(w).__name__}; pass np.asarray(w), or copy=True")
        return np.asarray(memoryview(w)), 0
    except (QuarrowError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001, the code of any library may run here
        reject(f"got {type(w).__name__}, which is not a tensor ({error}); {accepted}")


def check_on_cpu(w: Any, reject: Rejection) -> None:
    """Reject a tensor whose values lie in the memory of another device."""
    if not hasattr(w, "__dlpack_device__"):
        return
    device = int(w.__dlpack_device__()[0])
    if device not in _READABLE_DEVICES:
        reject(
            f"the {type(w).__name__} is on the DLPack device type {device}, not on the CPU; move "
            "it to the CPU first"
        )


def _columns_contiguous(array: NDArray[Any]) -> bool:
    if array.ndim == 1 or array.size == 0:
        return array.flags.c_contiguous
    return cast("bool", array[0].flags.c_contiguous)


def _reject_dtype(dtype: np.dtype[Any], reject: Rejection) -> NoReturn:
    if dtype.kind == "c":
        remedy = "pass its .real and .imag one by one"
    elif dtype.kind == "f":
        remedy = "pass w.astype(np.float64)"
    else:
        remedy = "pass w.astype(np.float32) if its values are weights"
    reject(f"got dtype {dtype.name}; accepted are {_ACCEPTED}; {remedy}")


def _copy_needed(array: NDArray[Any]) -> str:
    if not array.dtype.isnative:
        return (
            f"got the byte order of dtype {array.dtype.str!r}, which is not this machine's; pass "
            f"w.astype(np.{array.dtype.name}), or copy=True"
        )
    return (
        f"the array of shape {array.shape} and strides {array.strides} is not contiguous within "
        "its rows; pass np.ascontiguousarray(w), or copy=True"
    )
