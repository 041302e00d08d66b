# SPDX-License-Identifier: Apache-2.0
"""Files of int8, int4 and int2, decompressed by the package whose format they have."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import quarrow as qr
import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationConfig
from safetensors import safe_open
from safetensors.torch import save_file

TORCH_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# Rows that fill no whole word of zero points, rows of codes that fill no whole word, a convolution,
# rows longer than a tile.
SHAPES = {"a": (33, 96), "b": (9, 32), "conv": (17, 16, 3, 3), "long": (10, 80_000)}


def layer_of(path: Path, layer: str) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith(f"{layer}.")]  # noqa: SIM118
        return {name.removeprefix(f"{layer}."): file.get_tensor(name) for name in names}


def config_of(path: Path) -> QuantizationConfig:
    with safe_open(path, "pt") as file:
        return QuantizationConfig.model_validate(json.loads(file.metadata()["quantization_config"]))


@pytest.mark.parametrize(
    ("format_", "symmetric", "scale_dtype", "group_size"),
    list(itertools.product(["int8", "int4", "int2"], [False, True], TORCH_DTYPES, [16, "row"])),
)
def test_decompressed_equals_dequantized(
    format_: str,
    symmetric: bool,  # noqa: FBT001
    scale_dtype: str,
    group_size: Any,
    tmp_path: Path,
) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {
        f"{layer}.weight": torch.randn(shape, generator=generator, dtype=torch.float32)
        for layer, shape in SHAPES.items()
    }
    weights["a.bias"] = torch.ones(33)
    source, path = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file(weights, source, metadata={"format": "pt"})
    fields: dict[str, Any] = {
        "symmetric": symmetric,
        "scale_dtype": scale_dtype,
        "group_size": group_size,
    }
    # A small layer too.
    rules = [("weight", qr.Format(format_, **fields))]
    qr.quantize_file(source, path, format_, rules=rules, **fields)
    config = config_of(path)
    assert (config.quant_method, config.format) == ("compressed-tensors", "pack-quantized")
    (scheme,) = config.config_groups.values()
    assert not isinstance(scheme, list)
    assert sorted(scheme.targets) == sorted(SHAPES)
    for layer in SHAPES:
        stored = layer_of(path, layer)
        stored.pop("bias", None)
        assert set(stored) == set(PackedQuantizationCompressor.compression_param_names(scheme)), (
            layer
        )
        restored = PackedQuantizationCompressor.decompress(stored, scheme)["weight"]
        weight = weights[f"{layer}.weight"]
        expected = qr.quantize(weight, format_, **fields).dequantize(scale_dtype)
        with qr.open(path) as checkpoint:
            read = checkpoint[f"{layer}.weight"]
        assert isinstance(read, qr.QuantizedTensor)
        assert read.dequantize(scale_dtype).tobytes() == expected.tobytes()
        assert restored.dtype == TORCH_DTYPES[scale_dtype]
        assert torch.equal(
            restored.contiguous().reshape(-1).view(torch.uint8),
            torch.from_numpy(expected.reshape(-1).view("uint8")),
        ), layer


def test_compressing_again_gives_the_same_entries(tmp_path: Path) -> None:
    weight = torch.randn((40, 64), generator=torch.Generator().manual_seed(1))
    source, path = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"l.weight": weight}, source)
    qr.quantize_file(source, path, "int4", group_size=32)
    (scheme,) = config_of(path).config_groups.values()
    stored = layer_of(path, "l")
    state = PackedQuantizationCompressor.decompress(stored, scheme)
    again = PackedQuantizationCompressor.compress(state, scheme)
    for name, tensor in stored.items():
        assert torch.equal(tensor, again[name]), name
