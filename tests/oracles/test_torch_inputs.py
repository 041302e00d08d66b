# SPDX-License-Identifier: Apache-2.0
"""torch tensors as input: read in place, or refused in words."""

from typing import Any

import numpy as np
import pytest
import quarrow as qr

torch = pytest.importorskip("torch")


def weights(*shape: int) -> Any:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float64"])
def test_every_dtype_is_read_in_place(name: str) -> None:
    tensor = weights(6, 40).to(getattr(torch, name))
    q = qr.quantize(tensor, "int8")
    assert q.stats.bytes_copied == 0
    assert q.stats.bytes_in == tensor.numel() * tensor.element_size()
    assert q.dtype_name == name
    plain = tensor.double() if name == "float64" else tensor.float()
    expected = qr.quantize(plain.numpy(), "int8")
    np.testing.assert_array_equal(q.codes, expected.codes)
    np.testing.assert_array_equal(q.scales, expected.scales)


@pytest.mark.parametrize(
    "tensor",
    [
        weights(12, 40)[::2],
        weights(8, 60)[1:7, 11:51],
        weights(6, 4, 10)[::3],
        weights(0, 4),
        weights(40, 1).T,
        weights(1, 40).expand(6, 40),
        torch.nn.Parameter(weights(6, 40)),
        weights(6, 40).requires_grad_(),
        weights(6, 40).requires_grad_() * 2,
        weights(6, 40).to(torch.bfloat16).requires_grad_(),
    ],
    ids=str,
)
def test_views_and_tensors_with_gradients_are_read_in_place(tensor: Any) -> None:
    q = qr.quantize(tensor, "int4")
    assert q.stats.bytes_copied == 0
    copied = tensor.detach().clone(memory_format=torch.contiguous_format)
    assert q == qr.quantize(copied, "int4")
    assert q.error(tensor).max_abs <= q.error(copied).max_abs


class WithAttributes(torch.Tensor):  # type: ignore[misc, name-defined]
    """Adds what the class of a tensor may add."""

    scale = 1.0


class WithFunction(torch.Tensor):  # type: ignore[misc, name-defined]
    """Sees every function of torch that it is passed to."""

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, values: Any = (), keys: Any = None
    ) -> Any:
        return super().__torch_function__(function, types, values, keys or {})


class WithDispatch(torch.Tensor):  # type: ignore[misc, name-defined]
    """Sees every operation, and may have none carried out."""

    @classmethod
    def __torch_dispatch__(cls, function: Any, _: Any, values: Any = (), keys: Any = None) -> Any:
        message = f"{function} must not run"
        raise AssertionError(message)


class NamedParameter(torch.nn.Parameter):  # type: ignore[misc, name-defined]
    """A parameter with a name."""

    name = "weight"


def in_inference_mode(tensor: Any) -> Any:
    with torch.inference_mode():
        return tensor.clone()


MEMORY = np.random.default_rng(4).normal(size=(7, 40)).astype(np.float32)
HAS_MEMORY = {
    "attributes": weights(6, 40).as_subclass(WithAttributes),
    "a function": weights(6, 40).as_subclass(WithFunction),
    "dispatch": torch.Tensor._make_subclass(WithDispatch, weights(6, 40)),
    "a class of parameters": NamedParameter(weights(6, 40)),
    "a parameter with attributes": torch.nn.Parameter(weights(6, 40).as_subclass(WithAttributes)),
    "a buffer": torch.nn.Buffer(weights(6, 40)),
    "inference": in_inference_mode(weights(6, 40)),
    "the end of a storage": weights(7, 40)[1:],
    "the end of numpy's memory": torch.from_numpy(MEMORY)[1:],
    "a buffer's memory": torch.frombuffer(bytearray(MEMORY.tobytes()), dtype=torch.float32)[
        40:
    ].reshape(6, 40),
    "shared memory": weights(6, 40).share_memory_(),
}


@pytest.mark.parametrize("tensor", HAS_MEMORY.values(), ids=HAS_MEMORY.keys())
def test_what_has_memory_is_read_in_place_whatever_its_class(tensor: Any) -> None:
    with torch._C._DisableTorchDispatch():
        address = tensor.data_ptr()
        values = torch.tensor(tensor.detach().tolist())
    assert qr._core.address_read(tensor) == address
    q = qr.quantize(tensor, "int8")
    assert q.stats.bytes_copied == 0
    expected = qr.quantize(values, "int8")
    assert q == expected
    assert q.error(tensor) == expected.error(values)
    assert qr.quantize_batch({"a": tensor}, "int8")["a"] == expected
    rules = [("a", "int8_rowwise"), ("b", None)]
    given = {"a.weight": tensor, "b.weight": tensor}
    stored = qr.quantize_state_dict(given, "int8_rowwise", rules=rules)
    assert stored["b.weight"] is tensor
    stored_values = qr.quantize_state_dict({"a.weight": values}, "int8_rowwise", rules=rules)
    assert torch.equal(stored["a.weight"], stored_values["a.weight"])


def test_real_tensors_are_read_while_others_are_fake() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    array = weights(6, 40).numpy()
    tensor = torch.from_numpy(array)
    rules = [("", "int8_rowwise")]
    expected = qr.quantize(tensor, "int8")
    expected_stored = qr.quantize_state_dict({"a.weight": tensor}, "int8_rowwise", rules=rules)
    with FakeTensorMode():
        for each in (tensor, array, torch.nn.Parameter(tensor)):
            assert qr.quantize(each, "int8") == expected
        stored = qr.quantize_state_dict({"a.weight": tensor}, "int8_rowwise", rules=rules)
    assert all(torch.equal(stored[name], each) for name, each in expected_stored.items())


def test_a_mapped_file_is_read_in_place(tmp_path: Any) -> None:
    from safetensors.torch import load_file, save_file

    tensors = {"a": weights(6, 40), "b": weights(3, 40)}
    save_file(tensors, tmp_path / "w.safetensors")
    for name, tensor in load_file(tmp_path / "w.safetensors").items():
        assert qr._core.address_read(tensor) == tensor.data_ptr()
        assert qr.quantize(tensor, "int8") == qr.quantize(tensors[name], "int8")


def test_capsules_old_and_versioned() -> None:
    tensor = weights(6, 40)
    expected = qr.quantize(tensor, "int4")
    assert qr.quantize(torch.utils.dlpack.to_dlpack(tensor), "int4") == expected
    assert qr.quantize(tensor.__dlpack__(max_version=(1, 0)), "int4") == expected


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (weights(40, 6).T, r"strides \(1, 6\) is not contiguous .*tensor.contiguous\(\)"),
        (weights(6, 80)[:, ::2], "not contiguous"),
        (weights(80)[::2], "not contiguous"),
    ],
)
def test_copied_only_where_permitted(tensor: Any, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'x': .*{message}"):
        qr.quantize(tensor, "int8", name="x")
    q = qr.quantize(tensor, "int8", copy=True)
    assert q.stats.bytes_copied == tensor.numel() * 4
    assert q == qr.quantize(tensor.contiguous(), "int8")


def test_what_is_copied_counts_in_the_metrics() -> None:
    tensor = weights(40, 50)
    qr.reset_metrics()
    qr.quantize(tensor.T, "int8", copy=True)
    state_dict = {"a.weight": tensor, "b.weight": tensor.T}
    qr.quantize_state_dict(state_dict, "int8_rowwise")
    size = tensor.numel() * 4
    metrics = qr.metrics()
    assert metrics["quantize"]._replace(seconds=0) == (1, 1, size, size, 0, 0)
    assert metrics["quantize_state_dict"]._replace(seconds=0) == (1, 2, 2 * size, size, 0, 0)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])  # the second one could be read in place
@pytest.mark.parametrize("kind", [torch.Tensor, torch.nn.Parameter])
def test_negated_views_are_values_of_their_own(shape: tuple[int, ...], kind: type) -> None:
    view = torch.randn(shape, dtype=torch.complex64).conj().imag
    tensor = view if kind is torch.Tensor else torch.nn.Parameter(view, requires_grad=False)
    assert tensor.is_neg()
    with pytest.raises(qr.InvalidInputError, match=r"negative bit .*resolve_neg\(\), or copy=True"):
        qr.quantize(tensor, "int8")
    expected = qr.quantize(tensor.resolve_neg().contiguous(), "int8")
    assert qr.quantize(tensor, "int8", copy=True) == expected


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.ones(4, dtype=torch.int32), "a tensor of int32; accepted are float32"),
        (torch.ones(4, dtype=torch.bool), "a tensor of bool"),
        (torch.ones(4, dtype=torch.complex64), "a tensor of complex64"),
        (torch.ones(4).to(torch.float8_e4m3fn), r"float8_e4m3fn; .*tensor.float\(\)"),
        (torch.tensor(1.0), "0-d"),
        (torch.ones(2, 2).to_sparse(), r"layout torch.sparse_coo; pass tensor.to_dense\(\)"),
        (torch.ones(4, device="meta"), "on the device 'meta'"),
    ],
)
def test_refused_in_words(tensor: Any, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'x': .*{message}") as caught:
        qr.quantize(tensor, "int8", name="x")
    assert caught.value.name == "x"


def test_results_go_back_to_torch_without_a_copy() -> None:
    q = qr.quantize(weights(6, 40), "int8")
    codes = torch.from_numpy(q.codes)
    assert codes.data_ptr() == q.codes.ctypes.data
