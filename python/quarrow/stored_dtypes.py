# SPDX-License-Identifier: Apache-2.0
"""The element types of files, as numpy and torch call them.

ml_dtypes and torch are used when they are there: neither is needed.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from quarrow.exceptions import InvalidInputError, QuarrowError
from quarrow.input_coercion import check_on_cpu
from quarrow.rejection import Rejection
from quarrow.torch_tensors import is_torch_tensor, plain_tensor, torch_alone

# Of numpy itself.
_NUMPY = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
    "C64": "complex64",
}
# Of ml_dtypes, and without it the unsigned integers of the same width.
_ML_DTYPES = {
    "BF16": ("bfloat16", "uint16"),
    "F8_E4M3": ("float8_e4m3fn", "uint8"),
    "F8_E5M2": ("float8_e5m2", "uint8"),
    "F8_E8M0": ("float8_e8m0fnu", "uint8"),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", "uint8"),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", "uint8"),
}
# By the name that both ml_dtypes and torch have for it.
STORED_DTYPES = {
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
} | {name: stored for stored, name in _NUMPY.items()}

# Two elements in a byte, which safetensors counts, and torch takes for one element.
_TORCH_PAIRS = {"float4_e2m1fn_x2": "F4"}

# Code and bits of what numpy cannot export through DLPack.
DLPACK_CODES = {
    "BF16": (4, 16),
    "F8_E4M3": (10, 8),
    "F8_E4M3FNUZ": (11, 8),
    "F8_E5M2": (12, 8),
    "F8_E5M2FNUZ": (13, 8),
    "F8_E8M0": (14, 8),
}


_NUMPY_DTYPES = {stored: np.dtype(name) for stored, name in _NUMPY.items()}


def numpy_dtype(stored: str) -> np.dtype[Any] | None:
    """Return the numpy dtype of a stored one; None for elements below a byte."""
    if stored in _NUMPY_DTYPES:
        return _NUMPY_DTYPES[stored]
    if stored not in _ML_DTYPES:
        return None
    name, integers = _ML_DTYPES[stored]
    try:
        import ml_dtypes  # noqa: PLC0415 (it may be missing)
    except ImportError:
        return np.dtype(integers)
    return np.dtype(getattr(ml_dtypes, name, integers))


def torch_dtype(stored: str) -> Any:
    """Return the torch dtype of a stored one; torch has been imported by who asks."""
    names = [name for name, each in STORED_DTYPES.items() if each == stored]
    return getattr(sys.modules["torch"], names[0]) if names else sys.modules["torch"].uint8


def stored_bytes(value: Any, name: str) -> tuple[str, tuple[int, ...], npt.NDArray[Any], int]:
    """Return stored dtype and shape of an array or a tensor, its bytes, and how many were copied.

    The bytes are an array in C order, whatever its dtype. Nothing is copied where the values lie
    so.

    Raises
    ------
    InvalidInputError
        It is neither, safetensors has no such dtype, or the tensor has no memory of its own.
    """
    reject = Rejection(name)
    if is_torch_tensor(value):
        tensor = plain_tensor(value, reject)
        if tensor.device.type != "cpu":
            reject(f"the tensor is on {tensor.device}; move it to the CPU with .cpu()")
        name_in_torch = str(tensor.dtype).removeprefix("torch.")
        dtype = STORED_DTYPES.get(name_in_torch)
        shape = tuple(tensor.shape)
        if name_in_torch in _TORCH_PAIRS and shape:
            dtype = _TORCH_PAIRS[name_in_torch]
            shape = (*shape[:-1], 2 * shape[-1])
        if dtype is not None:
            torch = sys.modules["torch"]
            with torch_alone():
                plain = tensor.resolve_conj().resolve_neg()
                if plain.element_size() == 1:
                    # The rarer types of torch cannot even be copied.
                    plain = plain.view(torch.uint8)
                plain = plain.contiguous()
                # Tensor.numpy() would forbid for ever that the storage is resized.
                flat = np.from_dlpack(plain.reshape(-1).view(torch.uint8)).view(np.uint8)
            copied = 0 if plain.data_ptr() == tensor.data_ptr() else flat.nbytes
            return dtype, shape, flat, copied
    else:
        array = _as_numpy(value, reject)
        if array is not None and array.dtype.isnative and array.dtype.name in STORED_DTYPES:
            # ascontiguousarray makes a scalar one-dimensional.
            flat = flat_bytes(np.ascontiguousarray(array))
            copied = 0 if array.flags.c_contiguous else flat.nbytes
            return STORED_DTYPES[array.dtype.name], array.shape, flat, copied
    kind = getattr(value, "dtype", type(value).__name__)
    msg = f"layer {name!r}: safetensors cannot hold {kind}; pass numpy arrays or torch tensors"
    raise InvalidInputError(msg, name=name)


def flat_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the bytes of an array in C order, without a copy."""
    return array.reshape(-1).view(np.uint8)


def _as_numpy(value: Any, reject: Rejection) -> npt.NDArray[Any] | None:
    """View a tensor of another library through numpy; None where numpy finds no array in it."""
    if isinstance(value, np.ndarray):
        return value
    try:
        check_on_cpu(value, reject)
        # jax hands out bfloat16 so, which numpy takes from no DLPack tensor.
        if hasattr(value, "__array__"):
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        return np.asarray(memoryview(value))
    except (QuarrowError, MemoryError, OSError):
        raise
    except Exception:  # noqa: BLE001, the code of any library may run here
        return None


def from_bytes(
    data: npt.NDArray[np.uint8], stored: str, shape: tuple[int, ...], *, as_torch: bool
) -> Any:
    """Return an array, or a torch tensor, over bytes. Elements below a byte stay bytes."""
    if as_torch:
        with torch_alone():
            tensor = sys.modules["torch"].from_numpy(data)
            return tensor.view(torch_dtype(stored)).reshape(shape)
    dtype = numpy_dtype(stored)
    return data if dtype is None else data.view(dtype).reshape(shape)
