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
