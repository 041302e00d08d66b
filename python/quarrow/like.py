# SPDX-License-Identifier: Apache-2.0
"""Values as the caller's own arrays are: of numpy, torch, jax, or another library."""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from quarrow import _core
from quarrow.rejection import Rejection
from quarrow.safe_repr import safe_repr
from quarrow.stored_dtypes import DLPACK_CODES, STORED_DTYPES, from_bytes
from quarrow.torch_tensors import is_torch_tensor

# What the engine computes for each dtype; 64 bits hold the values of 32.
_COMPUTED = {
    "float32": "float32",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float64": "float32",
}
# As safetensors spells what can be computed.
FLOATS = {STORED_DTYPES[name]: name for name in ("float32", "float16", "bfloat16")}


def dtype_of(like: Any, name: str | None) -> str:
    """Return the dtype in which values are computed that are to be like an array.

    Parameters
    ----------
    like : array
        Its kind and dtype count, not its values.
    name : str or None
        The layer, for the message.

    Raises
    ------
    InvalidInputError
        It is no array that can be made, or of another dtype.
    """
    reject = Rejection(name)
    is_known = isinstance(like, np.ndarray) or is_torch_tensor(like) or _has_namespace(like)
    if not is_known:
        reject(
            f"like must be a numpy array, or a tensor of torch, jax or another library with "
            f"__array_namespace__, not {safe_repr(type(like))}"
        )
    dtype = _dtype_name(like)
    if dtype not in _COMPUTED:
        reject(f"like is of {dtype}; values can be {', '.join(_COMPUTED)}")
    return _COMPUTED[dtype]


def like_array(data: npt.NDArray[np.uint8], dtype: str, shape: tuple[int, ...], like: Any) -> Any:
    """Return bytes that were computed for it as an array of the kind and dtype of `like`.

    Nothing is copied on the CPU, but where its dtype is float64.
    """
    stored = STORED_DTYPES[dtype]
    wide = is_float64(like)
    if is_torch_tensor(like):
        torch = sys.modules["torch"]
        tensor = from_bytes(data, stored, shape, as_torch=True)
        return tensor.to(device=like.device, dtype=torch.float64 if wide else tensor.dtype)
    if isinstance(like, np.ndarray):
        values = from_bytes(data, stored, shape, as_torch=False)
        return values.astype(np.float64) if wide else values
    exported = from_bytes(data, stored, shape, as_torch=False)
    if stored in DLPACK_CODES:
        exported = _core.dlpack_array(data, data, *DLPACK_CODES[stored], shape)
    namespace = like.__array_namespace__()
    values = namespace.from_dlpack(exported)
    return namespace.astype(values, like.dtype) if wide else values


def is_float64(like: Any) -> bool:
    """Whether an array has values that the engine does not compute, but holds."""
    return _dtype_name(like) == "float64"


def is_of_kind(value: Any, like: Any) -> bool:
    """Whether two arrays are of one library."""
    if is_torch_tensor(like) or is_torch_tensor(value):
        return is_torch_tensor(like) and is_torch_tensor(value)
    return isinstance(value, type(like))


def _has_namespace(like: object) -> bool:
    return hasattr(type(like), "__array_namespace__") and hasattr(like, "dtype")


def _dtype_name(like: Any) -> str:
    """Return how numpy spells its dtype: those of torch and jax are objects of their own."""
    return str(like.dtype).rpartition(".")[2]
