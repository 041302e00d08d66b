# SPDX-License-Identifier: Apache-2.0
"""Tensors of torch: the memory that their values lie in, or why there is none.

torch is not imported here; what imports it is the caller's program.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quarrow.exceptions import InvalidInputError
from quarrow.rejection import Rejection

# With these, classes that stand for values hand them out: DTensor; torchao and ComfyUI; sparse
# ones; NF4Tensor; MaskedTensor; FunctionalTensor; AsyncCollectiveTensor.
_ACCESSORS = (
    "full_tensor",
    "dequantize",
    "to_dense",
    "get_original_weight",
    "get_data",
    "from_functional",
    "wait",
)
# A storage of another device may be one in name only.
_DEVICES_WITH_STORAGE = ("cpu", "cuda", "meta")


def is_torch_tensor(value: object) -> bool:
    """Whether it is a tensor of torch, which is not imported to find out."""
    torch = sys.modules.get("torch")
    kind = getattr(torch, "Tensor", None)
    return isinstance(kind, type) and isinstance(value, kind)


@contextmanager
def torch_alone() -> Iterator[None]:
    """Ask torch itself: no class of tensors, and no mode such as FakeTensorMode, answers for it."""
    torch = sys.modules["torch"]
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
        yield


def first_line(error: Exception) -> str:
    """Return what torch says, without where in its sources it says so."""
    return str(error).partition("\n")[0]


def plain_tensor(tensor: Any, reject: Rejection) -> Any:
    """Return a torch.Tensor without gradients over the memory of `tensor`, on whatever device.

    Parameters
    ----------
    tensor : torch.Tensor
        Of any class; one that adds attributes or functions is what lies in its memory.
    reject : Rejection
        Of the layer.

    Raises
    ------
    InvalidInputError
        It has no memory of its own, or its values do not lie there as in an array.
    """
    torch = sys.modules["torch"]
    try:
        with torch_alone():
            if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin):
                reject(
                    f"got {type(tensor).__name__}, which has no values yet; run its module once, "
                    "or pass it after tensor.materialize(shape)"
                )
            plain = torch.Tensor.detach(tensor)
            _check_layout(tensor, plain, reject)
            if plain.device.type in _DEVICES_WITH_STORAGE and not _lies_in_storage(plain):
                reject(_missing_memory(tensor, plain))
            return plain
    except (InvalidInputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001, the code of any class of tensors may run here
        reject(
            f"got {type(tensor).__name__}, whose memory cannot be found ({first_line(error)}); "
            "pass a plain torch.Tensor with the same values"
        )


def _check_layout(tensor: Any, plain: Any, reject: Rejection) -> None:
    if plain.is_nested:
        reject("got a nested tensor; pass its parts, tensor.unbind(), one by one")
    if str(plain.layout) != "torch.strided":
        reject(f"got a tensor of layout {plain.layout}; pass tensor.to_dense()")
    # A FakeTensor is one that says it lay elsewhere.
    if plain.device.type == "meta" and tensor.device.type == "meta":
        reject(
            "the tensor is on the device 'meta', which holds no values; pass it after they were "
            "loaded (module.to_empty(device='cpu'), then module.load_state_dict)"
        )


def _bytes_needed(plain: Any) -> int:
    """From the start of the storage to the end of the last element."""
    if plain.numel() == 0:
        return 0
    steps = zip(plain.shape, plain.stride(), strict=True)
    last = plain.storage_offset() + sum((size - 1) * stride for size, stride in steps)
    return int((last + 1) * plain.element_size())


def _lies_in_storage(plain: Any) -> bool:
    needed = _bytes_needed(plain)
    if needed == 0:
        return True
    try:
        storage = plain.untyped_storage()
        return bool(storage.nbytes() >= needed and storage.data_ptr() != 0)
    except (RuntimeError, NotImplementedError):
        # That of a tensor that stands for another one.
        return False


def _missing_memory(tensor: Any, plain: Any) -> str:
    torch = sys.modules["torch"]
    kind = type(tensor)
    what = f"got {kind.__name__}, which has no memory of its own; "
    for accessor in _ACCESSORS:
        own = getattr(kind, accessor, None)
        if callable(own) and own is not getattr(torch.Tensor, accessor, None):
            return f"{what}pass tensor.{accessor}()"
    if torch._C._functorch.is_functorch_wrapped_tensor(plain):
        return (
            "got a tensor of a torch.func transform (vmap, grad), which has no memory of its own; "
            "call outside of the function that is transformed"
        )
    if torch._is_functional_tensor(plain):
        return (
            "got a functional tensor of torch, which has no memory of its own; pass "
            "torch._from_functional_tensor(tensor)"
        )
    if plain._is_zerotensor():
        return "got a tensor of zeros without memory; pass tensor.clone()"
    size, needed = plain.untyped_storage().nbytes(), _bytes_needed(plain)
    if size < needed:
        return (
            f"the tensor needs {needed} bytes of its storage, which has {size}: it was freed or "
            "cut; pass the tensor while its values are there (with FSDP after module.unshard(), or "
            "within summon_full_params)"
        )
    return (
        f"{what}pass the plain torch.Tensor that holds its values (outside of FakeTensorMode and "
        "torch.export)"
    )
