# SPDX-License-Identifier: Apache-2.0
"""GGUF files in diffusers: a Flux loads, its layers in blocks, and computes with our values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
import torch
from diffusers import FluxTransformer2DModel, GGUFQuantizationConfig
from diffusers.quantizers.gguf.utils import GGUFLinear
from safetensors.torch import save_file

SMALL: dict[str, Any] = {
    "patch_size": 1,
    "in_channels": 32,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": 96,
    "pooled_projection_dim": 64,
    "guidance_embeds": False,
    "axes_dims_rope": (8, 12, 12),
}
# Its converter from the original names knows one width.
WIDE = SMALL | {
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "axes_dims_rope": (16, 56, 56),
}


def forward(transformer: FluxTransformer2DModel) -> torch.Tensor:
    torch.manual_seed(1)
    with torch.no_grad():
        result: torch.Tensor = transformer(
            hidden_states=torch.randn(1, 16, 32),
            encoder_hidden_states=torch.randn(1, 8, 96),
            pooled_projections=torch.randn(1, 64),
            timestep=torch.tensor([0.5]),
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(8, 3),
        ).sample
    return result


def loaded(path: Path) -> FluxTransformer2DModel:
    quantization = None
    if path.suffix == ".gguf":
        quantization = GGUFQuantizationConfig(compute_dtype=torch.float32)
    transformer = FluxTransformer2DModel.from_single_file(
        str(path),
        config=str(path.parent),
        subfolder="transformer",
        quantization_config=quantization,
        torch_dtype=torch.float32,
    )
    assert isinstance(transformer, FluxTransformer2DModel)
    return transformer


def write_model(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Path:
    """Write the configuration, and a checkpoint of random values of about 1."""
    FluxTransformer2DModel(**config).save_config(folder / "transformer")
    torch.manual_seed(0)
    values = {
        name: torch.randn(each.shape).bfloat16() / max(each.shape[-1], 1) ** 0.5
        for name, each in tensors.items()
    }
    path = folder / "in.safetensors"
    save_file(values, path, {"general.architecture": "flux"})
    return path


def assert_it_computes_with_our_values(source: Path, format_: str, layers: int) -> None:
    path, floats = source.with_name(f"{format_}.gguf"), source.with_name(f"{format_}.safetensors")
    report = qr.quantize_file(source, path, format_)
    assert sum(layer.is_quantized for layer in report.layers) == layers
    # Whatever it computes in, it decodes in float16, the type of the blocks' scales.
    qr.dequantize_file(path, floats, dtype="float16")
    transformer = loaded(path)
    assert sum(isinstance(each, GGUFLinear) for each in transformer.modules()) >= layers
    ours, theirs = forward(loaded(floats)), forward(transformer)
    assert torch.isfinite(ours).all()
    np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=4e-3)
    exact = forward(loaded(source))
    assert torch.dist(theirs, ours) < torch.dist(theirs, exact) / 4
    likeness = torch.nn.functional.cosine_similarity(theirs.ravel(), exact.ravel(), dim=0)
    assert likeness > 0.97


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tensors = FluxTransformer2DModel(**SMALL).state_dict()
    return write_model(tmp_path_factory.mktemp("small"), SMALL, tensors)


@pytest.mark.parametrize("format_", ["q8_0", "q5_1", "q5_0", "q4_1", "q4_0"])
def test_a_small_flux_in_diffusers_names(small: Path, format_: str) -> None:
    assert_it_computes_with_our_values(small, format_, layers=20)


def test_a_file_that_was_converted_alone(small: Path) -> None:
    path = small.with_name("floats.gguf")
    qr.convert_file(small, path)
    np.testing.assert_allclose(forward(loaded(path)), forward(loaded(small)), rtol=1e-4, atol=1e-5)


def linear(rows: int, cols: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.empty(rows, cols), "bias": torch.empty(rows)}


def original_names(width: int, head: int) -> dict[str, torch.Tensor]:
    """The tensors of such a model in the names of its first release, fused as they are there."""
    mlp, norm = 4 * width, {"scale": torch.empty(head)}
    modules = {
        "img_in": linear(width, 32),
        "txt_in": linear(width, 96),
        "time_in.in_layer": linear(width, 256),
        "time_in.out_layer": linear(width, width),
        "vector_in.in_layer": linear(width, 64),
        "vector_in.out_layer": linear(width, width),
        "single_blocks.0.modulation.lin": linear(3 * width, width),
        "single_blocks.0.linear1": linear(3 * width + mlp, width),
        "single_blocks.0.linear2": linear(width, width + mlp),
        "single_blocks.0.norm.query_norm": norm,
        "single_blocks.0.norm.key_norm": norm,
        "final_layer.linear": linear(32, width),
        "final_layer.adaLN_modulation.1": linear(2 * width, width),
    }
    for side in ("img", "txt"):
        block = f"double_blocks.0.{side}"
        modules[f"{block}_mod.lin"] = linear(6 * width, width)
        modules[f"{block}_attn.qkv"] = linear(3 * width, width)
        modules[f"{block}_attn.proj"] = linear(width, width)
        modules[f"{block}_attn.norm.query_norm"] = norm
        modules[f"{block}_attn.norm.key_norm"] = norm
        modules[f"{block}_mlp.0"] = linear(mlp, width)
        modules[f"{block}_mlp.2"] = linear(width, mlp)
    return {f"{name}.{key}": each for name, keys in modules.items() for key, each in keys.items()}


def test_flux_of_the_real_width_in_its_original_names(tmp_path: Path) -> None:
    source = write_model(tmp_path, WIDE, original_names(3072, 128))
    # Of the fused ones diffusers makes three and four.
    assert_it_computes_with_our_values(source, "q8_0", layers=13)
