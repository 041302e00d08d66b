# SPDX-License-Identifier: Apache-2.0
"""State dicts and checkpoint tensors as torch sees them."""

from pathlib import Path
from typing import Any

import pytest
import quarrow as qr
import torch
from safetensors.torch import load_file, save_file

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("int8_rowwise", {}),
    ("int4", {"group_size": 16, "scale_dtype": "bfloat16"}),
    ("int8", {"symmetric": True}),
]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def tensors(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    return {
        "a.weight": torch.randn(40, 64).to(dtype),
        "b.weight": torch.randn(33, 16, 3).to(dtype),
        "a.bias": torch.nn.Parameter(torch.ones(40, dtype=dtype)),
        "f8": torch.ones(3).to(torch.float8_e4m3fn),
        "flag": torch.tensor(data=True),
        "ids": torch.arange(3),
    }


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().reshape(-1).view(torch.uint8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("format_", "fields"), VARIANTS)
def test_torch_in_torch_out(
    format_: str, fields: dict[str, Any], dtype: torch.dtype, tmp_path: Path
) -> None:
    source = tensors(dtype)
    save_file({name: value.detach() for name, value in source.items()}, tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "q", format_, **fields)
    qr.dequantize_file(tmp_path / "q", tmp_path / "r")
    quantized = qr.quantize_state_dict(source, format_, **fields)
    restored = qr.dequantize_state_dict(quantized)
    for state_dict, path in ((quantized, tmp_path / "q"), (restored, tmp_path / "r")):
        expected = load_file(path)
        assert set(state_dict) == set(expected)
        for name, value in expected.items():
            assert state_dict[name].dtype == value.dtype, name
            assert state_dict[name].shape == value.shape
            assert torch.equal(bytes_of(state_dict[name]), bytes_of(value)), name
    assert quantized["a.bias"] is source["a.bias"]
    assert all(value.dtype == source[name].dtype for name, value in restored.items())


def test_new_tensors_have_storages_of_their_own(tmp_path: Path) -> None:
    """What safetensors and torch save of one is not the memory of all."""
    quantized = qr.quantize_state_dict(tensors(torch.float16), "int8_rowwise")
    made = {name: value for name, value in quantized.items() if name.startswith("a.weight")}
    assert len(made) > 1
    for name, value in made.items():
        assert value.untyped_storage().nbytes() == value.numel() * value.element_size(), name
    save_file(made, tmp_path / "q")
    kept = made.pop("a.weight")
    expected = kept.clone()
    del quantized, made
    assert torch.equal(kept.add_(1), expected + 1)


def test_tensors_in_another_order_are_copied() -> None:
    w = torch.randn(64, 40).T
    one = qr.quantize_state_dict({"a.weight": w}, "int8_rowwise")
    two = qr.quantize_state_dict({"a.weight": w.contiguous()}, "int8_rowwise")
    assert torch.equal(one["a.weight"], two["a.weight"])


def test_what_was_copied_is_counted() -> None:
    given = tensors(torch.float32)
    for turned in (False, True):
        qr.reset_metrics()
        if turned:
            given["a.weight"] = given["a.weight"].t()
        qr.quantize_state_dict(given, "int8_rowwise", runtime="none")
        copied = qr.metrics()["quantize_state_dict"].bytes_copied
        assert copied == (given["a.weight"].nbytes if turned else 0)


@pytest.mark.parametrize("io", ["read", "mmap"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_checkpoint_tensors_are_torchs(io: str, dtype: torch.dtype, tmp_path: Path) -> None:
    source = {name: value.detach() for name, value in tensors(dtype).items() if name != "f8"}
    save_file(source, tmp_path / "in")
    with qr.open(tmp_path / "in", io=io) as checkpoint:
        loaded = {name: torch.from_dlpack(checkpoint[name]) for name in checkpoint}
        q = qr.quantize(checkpoint["a.weight"], "int4")
    for name, value in source.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value), name
    assert q == qr.quantize(source["a.weight"], "int4")


def test_negated_tensors_are_copied() -> None:
    negated = torch.randn(64, 1, dtype=torch.complex64).conj().imag
    assert negated.is_neg()
    one = qr.quantize_state_dict({"a.weight": negated}, "int8", rules=[("a", "int8")])
    two = qr.quantize_state_dict({"a.weight": negated.resolve_neg()}, "int8", rules=[("a", "int8")])
    assert torch.equal(one["a.weight_packed"], two["a.weight_packed"])


def test_conjugated_tensors_are_stored_as_their_values(tmp_path: Path) -> None:
    turned = torch.view_as_complex(torch.randn(8, 2)).conj()
    assert turned.is_conj()
    qr.save({"freqs": turned}, tmp_path / "out.safetensors")
    assert torch.equal(load_file(tmp_path / "out.safetensors")["freqs"], turned.resolve_conj())


@pytest.mark.parametrize("name", ["uint4", "uint1", "int4"])
def test_elements_below_a_byte_are_refused(name: str) -> None:
    if not hasattr(torch, name):
        pytest.skip(f"this torch has no {name}")
    narrow = torch.zeros(8, dtype=torch.uint8).view(getattr(torch, name))
    with pytest.raises(qr.InvalidInputError, match=name):
        qr.quantize_state_dict({"a": narrow}, "int8")


def test_sparse_tensors_are_refused_in_words() -> None:
    sparse = torch.eye(64).to_sparse()
    with pytest.raises(qr.InvalidInputError, match=r"layer 'x.weight'.*sparse.*to_dense\(\)"):
        qr.quantize_state_dict({"x.weight": sparse}, "int8")


def test_a_tensor_elsewhere_is_named() -> None:
    with pytest.raises(qr.InvalidInputError, match=r"layer 'x.weight'.*'meta'.*to_empty"):
        qr.quantize_state_dict({"x.weight": torch.empty(64, 64, device="meta")}, "int8")
