# SPDX-License-Identifier: Apache-2.0
"""Results of the kind and dtype of a tensor of torch."""

import subprocess
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
import torch

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]


def weight(dtype: torch.dtype) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randn(48, 128).to(dtype)


def torch_to_numpy(tensor: Any) -> Any:
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_those_of_numpy(dtype: torch.dtype) -> None:
    w = weight(dtype)
    q = qr.quantize(w, "int4")
    wide = torch.from_numpy(q.dequantize("float32"))
    expected = wide.to(dtype)
    for like in (w, torch.nn.Parameter(w), w[:1, ::2]):
        values = q.dequantize(like=like)
        assert type(values) is torch.Tensor
        assert not values.requires_grad
        assert torch.equal(values, expected)
        assert values.dtype == dtype
    batch = qr.dequantize_batch(qr.quantize_batch({"a": w, "b": w[:3]}, "int4"), like=w)
    assert torch.equal(batch["a"], expected)
    assert torch.equal(batch["b"], expected[:3])


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_state_dicts_change_their_kind(dtype: torch.dtype) -> None:
    source = {"a.weight": weight(dtype), "a.bias": torch.ones(48, dtype=dtype)}
    entries = qr.quantize_state_dict(source, "int8")
    like_torch = qr.dequantize_state_dict(
        {name: torch_to_numpy(value) for name, value in entries.items()},
        metadata=entries.metadata,
        like=source["a.bias"],
    )
    assert {type(value) for value in like_torch.values()} == {torch.Tensor}
    assert {value.dtype for value in like_torch.values()} == {dtype}
    like_numpy = qr.dequantize_state_dict(entries, like=np.zeros(1, "f4"))
    assert {type(value) for value in like_numpy.values()} == {np.ndarray}
    assert {value.dtype.name for value in like_numpy.values()} == {"float32"}
    np.testing.assert_array_equal(like_numpy["a.bias"], np.ones(48, "f4"))


def test_the_device_is_that_of_the_tensor() -> None:
    q = qr.quantize(weight(torch.float32), "int8")
    assert q.dequantize(like=torch.empty(1, device="meta")).device.type == "meta"


def test_other_types_are_refused() -> None:
    q = qr.quantize(weight(torch.float32), "int8", name="to_q")
    for dtype in (torch.int8, torch.float8_e4m3fn, torch.complex64):
        with pytest.raises(qr.InvalidInputError, match="layer 'to_q': like is of"):
            q.dequantize(like=torch.empty(1, dtype=dtype))


def test_bfloat16_needs_no_ml_dtypes() -> None:
    code = """
import sys
sys.modules["ml_dtypes"] = None
import torch, quarrow as qr
w = torch.randn(8, 128, dtype=torch.bfloat16)
q = qr.quantize(w, "int8")
assert q.dequantize(like=w).dtype == torch.bfloat16
entries = qr.quantize_state_dict({"a.weight": w}, "int8")
assert qr.dequantize_state_dict(entries)["a.weight"].dtype == torch.bfloat16
assert qr.dequantize_batch({"a": q}, like=w)["a"].dtype == torch.bfloat16
"""
    subprocess.run([sys.executable, "-c", code], check=True)
