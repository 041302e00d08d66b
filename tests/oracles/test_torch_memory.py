# SPDX-License-Identifier: Apache-2.0
"""torch tensors whose values lie in no memory of their own: refused by every entry point, in words.

Each kind comes with what its error says, and with the remedy that the error names; that one works.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import quarrow as qr

torch = pytest.importorskip("torch")

# What torch says of its own: nested, masked, sparse, quantized tensors, the script behind jvp.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:.*(prototype stage|beta state|deprecated):UserWarning",
    r"ignore:.*torch.jit.script. is deprecated:DeprecationWarning",
)

SHAPE = (64, 128)


def weights() -> Any:
    return torch.randn(*SHAPE, generator=torch.Generator().manual_seed(5))


ENTRY_POINTS: dict[str, Callable[[Any], object]] = {
    "quantize": lambda t: qr.quantize(t, "int8", name="a.weight"),
    "quantize with copy": lambda t: qr.quantize(t, "int8", name="a.weight", copy=True),
    "quantize_batch": lambda t: qr.quantize_batch({"a.weight": t}, "int8"),
    "quantize_batch with copy": lambda t: qr.quantize_batch({"a.weight": t}, "int8", copy=True),
    "error": lambda t: qr.quantize(np.zeros(SHAPE, "f4"), "int8", name="a.weight").error(t),
    "quantize_state_dict": lambda t: qr.quantize_state_dict({"a.weight": t}, "int8_rowwise"),
    "quantize_state_dict, kept": lambda t: qr.quantize_state_dict(
        {"a.weight": t}, "int8_rowwise", rules=[("", None)]
    ),
    "dequantize_state_dict, kept": lambda t: qr.dequantize_state_dict({"a.weight": t}),
}


class Kind(NamedTuple):
    """A tensor that is refused, how, and what to pass in its stead."""

    make: Callable[[], Any]
    message: str
    remedy: Callable[[Any], Any] | None = None


def freed() -> Any:
    tensor = weights()
    tensor.untyped_storage().resize_(0)
    return tensor


def freed_behind_an_offset() -> Any:
    rows = torch.cat([weights(), weights()])[64:]
    rows.untyped_storage().resize_(0)
    return rows


def freed_columns() -> Any:
    """What would be copied on demand."""
    columns = torch.randn(SHAPE[1], SHAPE[0]).T
    columns.untyped_storage().resize_(0)
    return columns


def cut() -> Any:
    tensor = weights()
    tensor.untyped_storage().resize_(tensor.nbytes - 1)
    return tensor


def cut_behind_an_offset() -> Any:
    """The storage is as large as the tensor, which begins at its end."""
    rows = torch.cat([weights(), weights()])[64:]
    rows.untyped_storage().resize_(rows.nbytes)
    return rows


def fake() -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.empty(SHAPE)


def fake_of_a_real_one() -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode().from_tensor(weights())


def torchao(config: str) -> Callable[[], Any]:
    def make() -> Any:
        import torchao.quantization as ao

        module = torch.nn.Sequential(torch.nn.Linear(SHAPE[1], SHAPE[0]))
        ao.quantize_(module, getattr(ao, config)())
        return module[0].weight

    return make


def comfy() -> Any:
    from comfy_kitchen.tensor import QuantizedTensor

    return QuantizedTensor.from_float(
        weights().bfloat16(), "TensorWiseINT8Layout", per_channel=True
    )


def distributed() -> Any:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    return distribute_tensor(weights(), init_device_mesh("cpu", (1,)), [Shard(0)])


class Wrapper(torch.Tensor):  # type: ignore[misc, name-defined]
    """Stands for another tensor, and answers with the address of that one."""

    @staticmethod
    def __new__(cls, held: Any) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)

    def __init__(self, held: Any) -> None:
        self.held = held

    def data_ptr(self) -> int:
        return int(self.held.data_ptr())

    def untyped_storage(self) -> Any:
        return self.held.untyped_storage()

    @classmethod
    def __torch_dispatch__(cls, function: Any, _: Any, values: Any = (), keys: Any = None) -> Any:
        plain = [value.held if isinstance(value, cls) else value for value in values]
        result = function(*plain, **(keys or {}))
        return cls(result) if function is torch.ops.aten.detach.default else result


KINDS = {
    "storage freed": Kind(freed, "needs 32768 bytes of its storage, which has 0: it was freed"),
    "storage freed, behind an offset": Kind(freed_behind_an_offset, "needs 65536 .* has 0"),
    "storage cut": Kind(cut, "needs 32768 bytes of its storage, which has 32767"),
    "storage cut, behind an offset": Kind(cut_behind_an_offset, "needs 65536 .* has 32768"),
    "a freed parameter": Kind(lambda: torch.nn.Parameter(freed()), "which has 0: it was freed"),
    "a freed parameter without gradients": Kind(
        lambda: torch.nn.Parameter(freed(), requires_grad=False), "which has 0: it was freed"
    ),
    "a freed view of columns": Kind(freed_columns, "which has 0: it was freed"),
    "freed bfloat16": Kind(lambda: freed().view(torch.bfloat16), "which has 0: it was freed"),
    "fake": Kind(fake, "FakeTensor, which has no memory of its own.*outside of FakeTensorMode"),
    "a fake of a real one": Kind(fake_of_a_real_one, "FakeTensor, which has no memory"),
    "functional": Kind(
        lambda: torch._to_functional_tensor(weights()),
        r"functional tensor.*pass torch._from_functional_tensor\(tensor\)",
        torch._from_functional_tensor,
    ),
    "a functional parameter": Kind(
        lambda: torch.nn.Parameter(torch._to_functional_tensor(weights())), "functional tensor"
    ),
    "zeros without memory": Kind(
        lambda: torch._efficientzerotensor(SHAPE),
        r"zeros without memory; pass tensor.clone\(\)",
        lambda t: t.clone(),
    ),
    "meta": Kind(lambda: torch.empty(SHAPE, device="meta"), "on the device 'meta'.*to_empty"),
    "a meta parameter": Kind(
        lambda: torch.nn.Linear(SHAPE[1], SHAPE[0], device="meta").weight, "the device 'meta'"
    ),
    "uninitialized": Kind(
        lambda: torch.nn.LazyLinear(64).weight, "UninitializedParameter, which has no values yet"
    ),
    "an uninitialized buffer": Kind(
        torch.nn.UninitializedBuffer, "UninitializedBuffer, which has no values yet"
    ),
    "DTensor": Kind(
        distributed, r"DTensor, .*pass tensor.full_tensor\(\)", lambda t: t.full_tensor()
    ),
    "torchao int8": Kind(
        torchao("Int8WeightOnlyConfig"),
        r"Int8Tensor, .*pass tensor.dequantize\(\)",
        lambda t: t.dequantize(),
    ),
    "torchao float8": Kind(
        torchao("Float8WeightOnlyConfig"),
        r"Float8Tensor, .*pass tensor.dequantize\(\)",
        lambda t: t.dequantize(),
    ),
    "ComfyUI": Kind(
        comfy, r"QuantizedTensor, .*pass tensor.dequantize\(\)", lambda t: t.dequantize()
    ),
    "a wrapper": Kind(
        lambda: Wrapper(weights()),
        "Wrapper, which has no memory.*plain torch.Tensor",
        lambda t: t.held,
    ),
    "a parameter around a wrapper": Kind(
        lambda: torch.nn.Parameter(Wrapper(weights()), requires_grad=False), "Wrapper, which has no"
    ),
    "masked": Kind(
        lambda: torch.masked.masked_tensor(weights(), torch.ones(SHAPE, dtype=torch.bool)),
        r"MaskedTensor, .*pass tensor.get_data\(\)",
        lambda t: t.get_data(),
    ),
    "sparse": Kind(
        lambda: weights().to_sparse(),
        r"sparse_coo; pass tensor.to_dense\(\)",
        lambda t: t.to_dense(),
    ),
    "sparse rows": Kind(
        lambda: weights().to_sparse_csr(),
        r"sparse_csr; pass tensor.to_dense\(\)",
        lambda t: t.to_dense(),
    ),
    "mkldnn": Kind(
        lambda: weights().to_mkldnn(), r"_mkldnn; pass tensor.to_dense\(\)", lambda t: t.to_dense()
    ),
    "nested": Kind(
        lambda: torch.nested.nested_tensor([weights()]),
        r"nested tensor; pass its parts, tensor.unbind\(\)",
        lambda t: t.unbind()[0],
    ),
    "nested, jagged": Kind(
        lambda: torch.nested.nested_tensor([weights()], layout=torch.jagged),
        r"nested tensor; pass its parts, tensor.unbind\(\)",
        lambda t: t.unbind()[0],
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _one_process() -> Iterator[None]:
    """DTensor asks for a group of processes, if only of one."""
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def assert_refused(call: Callable[[Any], object], tensor: Any, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'a.weight': .*{message}") as caught:
        call(tensor)
    assert caught.value.name == "a.weight"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", ENTRY_POINTS.values(), ids=ENTRY_POINTS.keys())
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_what_has_no_memory_is_refused(kind: Kind, call: Callable[[Any], object]) -> None:
    tensor = kind.make()
    assert_refused(call, tensor, kind.message)
    if kind.remedy is not None:
        call(kind.remedy(tensor).detach())


@pytest.mark.parametrize("call", ENTRY_POINTS.values(), ids=ENTRY_POINTS.keys())
@pytest.mark.parametrize(
    "transform",
    [
        lambda f: torch.func.vmap(f)(weights()[None]),
        lambda f: torch.func.grad(lambda w: f(w).sum())(weights()),
        lambda f: torch.func.jvp(f, (weights(),), (weights(),)),
        lambda f: torch.func.functionalize(f)(weights()),
    ],
    ids=["vmap", "grad", "jvp", "functionalize"],
)
def test_a_tensor_of_a_transform_is_refused(
    transform: Callable[[Callable[[Any], Any]], object], call: Callable[[Any], object]
) -> None:
    seen = []

    def probe(tensor: Any) -> Any:
        assert_refused(call, tensor, "(torch.func transform|functional tensor)")
        seen.append(tensor)
        return tensor

    transform(probe)
    assert len(seen) == 1


def test_a_fake_is_refused_where_it_was_made() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        for call in ENTRY_POINTS.values():
            assert_refused(call, torch.empty(SHAPE), "FakeTensor, which has no memory")


def test_a_layer_without_memory_is_skipped_like_any_other() -> None:
    tensors = {"a": weights(), "b": freed(), "c": fake()}
    result = qr.quantize_batch(tensors, "int8", on_error="skip")
    assert list(result) == ["a"]
    assert list(result.errors) == ["b", "c"]


def test_a_quantized_tensor_of_torch_is_refused_with_its_remedy() -> None:
    tensor = torch.quantize_per_tensor(weights(), 0.1, 0, torch.qint8)
    for copy in (False, True):
        with pytest.raises(qr.InvalidInputError, match=r"qint8; .*pass tensor.dequantize\(\)"):
            qr.quantize(tensor, "int8", copy=copy)
    assert qr.quantize(tensor.dequantize(), "int8").shape == SHAPE


def test_a_tensor_that_was_cut_is_read_up_to_the_end() -> None:
    """Its storage ends with it; the rows beyond are another tensor's."""
    rows = torch.cat([weights(), weights()])[:64]
    rows.untyped_storage().resize_(rows.nbytes)
    assert qr.quantize(rows, "int8") == qr.quantize(weights(), "int8")


def test_storages_can_be_resized_afterwards() -> None:
    """As FSDP does between its calls."""
    tensor = weights()
    qr.quantize(tensor, "int8")
    qr.quantize_state_dict({"a.weight": tensor}, "int8_rowwise")
    qr.dequantize_state_dict({"a.weight": tensor})
    size = tensor.nbytes
    tensor.untyped_storage().resize_(0)
    tensor.untyped_storage().resize_(size)


def small_freed() -> Any:
    """One whose repr is a crash; that of a large one raises."""
    tensor = torch.ones(2, 2)
    tensor.untyped_storage().resize_(0)
    return tensor


MISUSES: dict[str, Callable[[Any], object]] = {
    "a number of a list": lambda t: qr.legacy.quantize({"a": [1.0, t]}),
    "a list": lambda t: qr.legacy.quantize({"a": t}),
    "a bit width": lambda t: qr.legacy.quantize({"a": [1.0]}, bit_width=t),
    "a pair of three": lambda t: qr.quantize_batch([("a", t, t)], "int8"),  # type: ignore[list-item]
    "a name of a batch": lambda t: qr.quantize_batch([(t, "a")], "int8"),
    "a name of a state dict": lambda t: qr.quantize_state_dict({t: 1}, "int8_rowwise"),
    "a format": lambda t: qr.quantize(weights(), t),
    "a name": lambda t: qr.quantize(weights(), "int8", name=t),
    "a shape": lambda t: qr.QuantizedTensor(t, t, None, qr.Format("int8"), t),
    "threads": lambda t: qr.quantize(weights(), "int8", threads=t),
    "copy": lambda t: qr.quantize(weights(), "int8", copy=t),
    "a rule": lambda t: qr.quantize_state_dict({}, "int8_rowwise", rules=[t]),
    "a pattern": lambda t: qr.quantize_state_dict({}, "int8_rowwise", rules=[(t, None)]),
    "a path": lambda t: qr.quantize_file(t, t, "int8_rowwise"),
    "progress": lambda t: qr.quantize_batch({}, "int8", progress=t),
}


@pytest.mark.parametrize("call", MISUSES.values(), ids=MISUSES.keys())
def test_a_message_reads_no_values(call: Callable[[Any], object]) -> None:
    with pytest.raises(qr.QuarrowError):
        call(small_freed())


@pytest.mark.parametrize("call", ENTRY_POINTS.values(), ids=ENTRY_POINTS.keys())
def test_nothing_to_read_needs_no_memory(call: Callable[[Any], object]) -> None:
    tensor = torch.empty(0, 4)
    if call is ENTRY_POINTS["error"]:
        assert qr.quantize(tensor, "int8").error(tensor).max_abs == 0
    else:
        call(tensor)
