# SPDX-License-Identifier: Apache-2.0
"""The values of a state dict: which are tensors, and what a file would hold of them."""

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from quarrow import _core
from quarrow.checkpoint import CheckpointTensor
from quarrow.rejection import Rejection
from quarrow.stored_dtypes import stored_bytes
from quarrow.torch_tensors import is_torch_tensor

# Stored dtype and shape of an array, its bytes, and how many were copied.
StoredEntry = tuple[str, tuple[int, ...], Any, int]

_ARRAYS = (np.ndarray, memoryview, array)


class Entries:
    """The values of a state dict: its tensors, opened, and what is passed on.

    Parameters
    ----------
    state_dict : mapping
        Names and values.
    metadata : dict of str to str
        That goes with them.
    strict : bool
        Refuses values that are no tensors.

    Raises
    ------
    InvalidInputError
        A name is no text, or a value can be neither.
    """

    def __init__(
        self, state_dict: Mapping[str, Any], metadata: dict[str, str], *, strict: bool
    ) -> None:
        self.others: dict[str, Any] = {}
        self._strict = strict
        self.opened = _core.OpenCheckpoint(state_dict.items(), metadata, self._read)
        self.arrays = self.opened.values

    def _read(self, name: str, value: Any) -> StoredEntry | None:
        """Return what the core cannot read by itself; None for what is passed on."""
        is_quantized = isinstance(value, _core.QuantizedTensor)
        if not is_quantized and _is_array(value):
            return stored_entry(value, name)
        if not is_quantized:
            _check_other(value, name, strict=self._strict)
        self.others[name] = value
        return None

    @property
    def of_torch(self) -> bool:
        """Whether new tensors are to be of torch."""
        return bool(self.arrays) and is_torch_tensor(self.arrays[0])

    @property
    def has_quantized(self) -> bool:
        """Whether some values are quantized layers already."""
        return any(isinstance(each, _core.QuantizedTensor) for each in self.others.values())


def stored_entry(value: Any, name: str) -> StoredEntry:
    """Return what a file would hold of an array."""
    if isinstance(value, CheckpointTensor):
        return value.dtype, value.shape, value.stored_bytes(), 0
    return stored_bytes(value, name)


def _is_array(value: object) -> bool:
    """Whether its values may be weights; only some kinds of arrays can be read."""
    if isinstance(value, _ARRAYS) or is_torch_tensor(value):
        return True
    names = ("__dlpack__", "__array__", "__array_interface__", "__arrow_c_array__")
    is_scalar = isinstance(value, np.generic | type)
    return not is_scalar and any(hasattr(value, name) for name in names)


def _check_other(value: object, name: str, *, strict: bool) -> None:
    reject = Rejection(name)
    if strict:
        reject(f"got {type(value).__name__}, which is no tensor; strict=False passes it on")
    # Passed on, a model would seem to be quantized.
    if isinstance(value, Mapping) and any(_is_array(each) for each in value.values()):
        reject(f"got a {type(value).__name__} of tensors; pass state_dict[{name!r}] by itself")
