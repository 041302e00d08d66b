# SPDX-License-Identifier: Apache-2.0
"""The element types of safetensors, as numpy and torch call them.

ml_dtypes and torch are used when they are there: neither is needed.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from quarrow.exceptions import InvalidInputError

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
}
_TORCH = {
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
} | {name: stored for stored, name in _NUMPY.items()}

# Code and bits of what numpy cannot export through DLPack.
DLPACK_CODES = {"BF16": (4, 16), "F8_E4M3": (10, 8), "F8_E5M2": (12, 8), "F8_E8M0": (14, 8)}


def numpy_dtype(stored: str) -> np.dtype[Any] | None:
    """Return the numpy dtype of a stored one; None for elements below a byte."""
    if stored in _NUMPY:
        return np.dtype(_NUMPY[stored])
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
    names = [name for name, each in _TORCH.items() if each == stored]
    return getattr(sys.modules["torch"], names[0]) if names else sys.modules["torch"].uint8


def is_torch_tensor(value: object) -> bool:
    """Whether it is a tensor of torch, which is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def stored_bytes(value: Any, name: str) -> tuple[str, tuple[int, ...], npt.NDArray[np.uint8], int]:
    """Return stored dtype, shape and bytes of an array or a torch tensor, and how many were copied.

    Nothing is copied where it lies in C order.

    Raises
    ------
    InvalidInputError
        It is neither, or safetensors has no such dtype.
    """
    if is_torch_tensor(value):
        if value.device.type != "cpu":
            msg = f"layer {name!r}: the tensor is on {value.device}; move it to the CPU with .cpu()"
            raise InvalidInputError(msg, name=name)
        if str(value.layout) != "torch.strided":
            msg = f"layer {name!r}: the tensor has layout {value.layout}; pass tensor.to_dense()"
            raise InvalidInputError(msg, name=name)
        dtype = _TORCH.get(str(value.dtype).removeprefix("torch."))
        if dtype is not None:
            torch = sys.modules["torch"]
            plain = value.detach().resolve_conj().resolve_neg().contiguous()
            flat = plain.reshape(-1).view(torch.uint8).numpy()
            copied = 0 if plain.data_ptr() == value.data_ptr() else flat.nbytes
            return dtype, tuple(value.shape), flat, copied
    elif isinstance(value, np.ndarray):
        dtype = _TORCH.get(value.dtype.name) if value.dtype.isnative else None
        if dtype is not None:
            # ascontiguousarray makes a scalar one-dimensional.
            flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            return dtype, value.shape, flat, 0 if value.flags.c_contiguous else flat.nbytes
    kind = getattr(value, "dtype", type(value).__name__)
    msg = f"layer {name!r}: safetensors cannot hold {kind}; pass numpy arrays or torch tensors"
    raise InvalidInputError(msg, name=name)


def from_bytes(
    data: npt.NDArray[np.uint8], stored: str, shape: tuple[int, ...], *, as_torch: bool
) -> Any:
    """Return an array, or a torch tensor, over bytes. Elements below a byte stay bytes."""
    if as_torch:
        torch = sys.modules["torch"]
        return torch.from_numpy(data).view(torch_dtype(stored)).reshape(shape)
    dtype = numpy_dtype(stored)
    return data if dtype is None else data.view(dtype).reshape(shape)
