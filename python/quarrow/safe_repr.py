# SPDX-License-Identifier: Apache-2.0
"""What an error shows of an object that a caller passed."""

import reprlib

from quarrow.torch_tensors import is_torch_tensor

# Far beyond what any message shows, so that a large object costs nothing.
_LONGEST = 1000
_MOST_ITEMS = 100


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = self.maxother = _LONGEST
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = _MOST_ITEMS
        self.maxfrozenset = self.maxdeque = self.maxarray = _MOST_ITEMS

    def repr_instance(self, x: object, level: int) -> str:
        # It reads its values to show itself, and crashes where they have no memory.
        if is_torch_tensor(x):
            return f"<{type(x).__name__}>"
        # By its name reprlib knows the class itself alone, and `state_dict()` gives an OrderedDict.
        if isinstance(x, dict):
            return self.repr_dict(x, level)
        return super().repr_instance(x, level)


_REPR = _Repr()


def safe_repr(value: object) -> str:
    """Return ``repr(value)``, without the values of torch tensors; whatever happens, some text."""
    try:
        return _REPR.repr(value)
    except Exception:  # noqa: BLE001, the code of any class may run here
        return f"<{type(value).__name__}>"
