# SPDX-License-Identifier: Apache-2.0
"""A quantized file, read by safetensors' own reader and taken up by comfy-kitchen."""

import json
from pathlib import Path
from typing import Any

import comfy_kitchen
import pytest
import quarrow as qr
import torch
from checkpoints import make_checkpoint
from comfy_kitchen.tensor.base import QuantizedTensor
from comfy_kitchen.tensor.int8 import TensorWiseINT8Layout
from safetensors import safe_open
from safetensors.torch import load_file

CHECKPOINTS = {
    "flux_controlnet_small": ("--match", r"^(x_|controlnet_x|time_text.*linear_1|.*norm_)"),
    "sd15_controlnet": ("--match", r"^(conv_in|down_blocks\.0\.(attentions|resnets)\.0)"),
    "sd15_lora_kohya_r16": ("--limit-tensors", "40"),
}


@pytest.fixture(scope="module", params=CHECKPOINTS)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    source = make_checkpoint(
        request.param, folder / "model.safetensors", *CHECKPOINTS[request.param]
    )
    quantized = folder / "quantized.safetensors"
    # Small tensors and embeddings too.
    qr.quantize_file(source, quantized, "int8_rowwise", rules=[("", "int8_rowwise")])
    return source, quantized


def is_linear_weight(name: str, tensor: torch.Tensor) -> bool:
    return name.endswith(".weight") and tensor.ndim == 2


def same_bytes(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    as_bytes = [t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b)]
    return bool(torch.equal(*as_bytes))


def quantized_layers(source: dict[str, torch.Tensor]) -> list[str]:
    return [
        name.removesuffix(".weight")
        for name, tensor in source.items()
        if is_linear_weight(name, tensor)
    ]


def test_codes_and_scales_are_comfy_kitchens(files: tuple[Path, Path]) -> None:
    source, quantized = (load_file(path) for path in files)
    layers = quantized_layers(source)
    assert len(layers) >= 2
    for layer in layers:
        weight = source[f"{layer}.weight"]
        codes, scales = comfy_kitchen.quantize_int8_rowwise(weight.float())
        assert same_bytes(quantized.pop(f"{layer}.weight"), codes)
        assert same_bytes(quantized.pop(f"{layer}.weight_scale"), scales)
        description = json.loads(bytes(quantized.pop(f"{layer}.comfy_quant").tolist()))
        assert description == {
            "format": "int8_tensorwise",
            "orig_dtype": str(weight.dtype),
            "per_row": True,
        }


def test_everything_else_is_what_it_was(files: tuple[Path, Path]) -> None:
    source, quantized = (load_file(path) for path in files)
    weights = {f"{layer}.weight" for layer in quantized_layers(source)}
    made = {f"{name}_scale" for name in weights}
    made |= {f"{name.removesuffix('.weight')}.comfy_quant" for name in weights}
    assert set(quantized) == set(source) | made
    kept = set(source) - weights
    assert kept
    for name in kept:
        assert same_bytes(quantized[name], source[name]), name
    with safe_open(files[0], "pt") as before, safe_open(files[1], "pt") as after:
        assert after.metadata() == before.metadata()


def test_the_runtimes_tensor_gives_our_values(files: tuple[Path, Path]) -> None:
    """Each layer as ComfyUI holds it: comfy-kitchen's tensor of this layout."""
    source, quantized = (load_file(path) for path in files)
    for layer in quantized_layers(source):
        weight = source[f"{layer}.weight"]
        params = TensorWiseINT8Layout.Params(
            scale=quantized[f"{layer}.weight_scale"],
            orig_dtype=weight.dtype,
            orig_shape=tuple(weight.shape),
        )
        held = QuantizedTensor(quantized[f"{layer}.weight"], "TensorWiseINT8Layout", params)
        assert held.shape == weight.shape
        restored = qr.quantize(weight, "int8_rowwise").dequantize(str(weight.dtype)[6:])
        theirs = held.dequantize()
        assert theirs.dtype == weight.dtype
        assert theirs.view(torch.uint16).numpy().tobytes() == restored.tobytes()
