# SPDX-License-Identifier: Apache-2.0
"""Files of GGUF that hold quantized layers: what is written, and what comes back."""

from pathlib import Path
from typing import Any

import gguf
import gguf_oracle
import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray
from safetensors.numpy import save_file
from value_kinds import values_of

# What llama.h calls a file of the type.
FILE_TYPES = {"q8_0": 7, "q5_1": 9, "q5_0": 8, "q4_1": 3, "q4_0": 2}
FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
LAYER = "double_blocks.0.img_attn.qkv.weight"

# Tensors by whose names a model is known, and what loaders of GGUF call it.
ARCHITECTURES = {
    "sd3": ["joint_blocks.0.x_block.attn.qkv.weight"],
    "aura": ["double_layers.0.attn.w1q.weight"],
    "hyvid": ["txt_in.individual_token_refiner.blocks.0.norm1.weight", FLUX],
    "flux": [FLUX],
    "ltxv": ["adaln_single.emb.timestep_embedder.linear_1.bias", "patchify_proj.weight"],
    "lumina2": ["cap_embedder.1.weight", "noise_refiner.0.attention.k_norm.weight"],
    "wan": ["head.modulation"],
    "hidream": ["caption_projection.0.linear.weight"],
    "cosmos": ["blocks.0.mlp.layer1.weight"],
    "qwen_image": ["txt_norm.weight"],
    "sdxl": ["input_blocks.0.0.weight", "label_emb.0.0.weight"],
    "sd1": ["input_blocks.0.0.weight"],
}


def model(path: Path) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {
        FLUX: np.ones(128, np.float16),
        LAYER: values_of("normal", (384, 128)).astype(np.float16),
        "odd.weight": values_of("normal", (64, 70)).astype(np.float16),
        "conv.weight": values_of("normal", (8, 32, 3, 3)).astype(np.float16),
    }
    save_file(tensors, path)
    return tensors


@pytest.mark.parametrize("format_", FILE_TYPES)
def test_a_file_is_read_by_gguf_py_and_comes_back(tmp_path: Path, format_: str) -> None:
    source, out, back = (
        tmp_path / "in.safetensors",
        tmp_path / "out.gguf",
        tmp_path / "b.safetensors",
    )
    tensors = model(source)
    report = qr.quantize_file(source, out, format_)
    actions = {layer.name: layer.action for layer in report.layers}
    assert actions.pop(LAYER) == "quantized"
    assert set(actions.values()) == {"kept"}
    reasons = {layer.name: layer.reason for layer in report.layers}
    assert "not whole blocks of 32" in str(reasons["odd.weight"])
    q = qr.quantize(tensors[LAYER], format_, name=LAYER)

    reader = gguf.GGUFReader(out)
    read = {tensor.name: tensor for tensor in reader.tensors}
    assert read[LAYER].tensor_type.name == format_.upper()
    assert read[LAYER].shape.tolist() == [128, 384]
    np.testing.assert_array_equal(read[LAYER].data, q.codes)
    restored = gguf.dequantize(read[LAYER].data, read[LAYER].tensor_type)
    np.testing.assert_array_equal(restored.view(np.uint32), q.dequantize().view(np.uint32))
    np.testing.assert_array_equal(read["odd.weight"].data, tensors["odd.weight"])
    keys = {name: field.contents() for name, field in reader.fields.items()}
    assert keys["general.architecture"] == "flux"
    assert keys["general.quantization_version"] == 2
    assert keys["general.file_type"] == FILE_TYPES[format_]

    with qr.open(out) as opened:
        assert opened[LAYER] == q
    qr.dequantize_file(out, back)
    with qr.open(back) as opened:
        assert set(opened) == set(tensors)
        values = opened[LAYER].numpy()  # type: ignore[union-attr]
    np.testing.assert_array_equal(values, q.dequantize("float16"))
    with pytest.raises(qr.UnsupportedFormatError, match=r"lies in \.gguf files; safetensors files"):
        qr.quantize_file(source, back, format_)
    saved = tmp_path / "saved.gguf"
    qr.save({LAYER: q}, saved, metadata={"general.architecture": "flux"})
    with qr.open(saved) as opened:
        # Nothing beside it tells what it was.
        assert opened[LAYER].codes.tobytes() == q.codes.tobytes()  # type: ignore[union-attr]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_architecture_is_told_by_the_names(tmp_path: Path, architecture: str) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.gguf"
    names = [*ARCHITECTURES[architecture], "a.weight"]
    save_file({name: np.ones((32, 64), np.float16) for name in names}, source)
    qr.quantize_file(source, out, "q8_0")
    with qr.open(out) as opened:
        assert opened.metadata["general.architecture"] == architecture


def test_unknown_names_and_what_the_source_says(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.gguf"
    save_file({"a.weight": np.ones((32, 64), np.float16)}, source)
    with pytest.raises(qr.InvalidInputError, match=r"general\.architecture"):
        qr.quantize_file(source, out, "q8_0")
    assert not out.exists()
    metadata = {"general.architecture": "krea2", "general.file_type": "1", "note": "kept"}
    save_file({"a.weight": np.ones((32, 64), np.float16), FLUX: np.ones(3)}, source, metadata)
    qr.quantize_file(source, out, "q8_0")
    with qr.open(out) as opened:
        assert opened.metadata["general.architecture"] == "krea2"
        assert opened.metadata["general.file_type"] == FILE_TYPES["q8_0"]
        assert opened.metadata["note"] == "kept"


def test_what_a_source_in_gguf_says_is_said_once(tmp_path: Path) -> None:
    source, out = tmp_path / "in.gguf", tmp_path / "out.gguf"
    gguf_oracle.write(
        source,
        {"a.weight": np.ones((32, 64), np.float16)},
        general_architecture=("add_string", "wan"),
        general_quantization_version=("add_uint32", 2),
        general_file_type=("add_uint32", 1),
    )
    qr.quantize_file(source, out, "q4_0")
    with qr.open(out) as opened:
        assert opened.metadata["general.quantization_version"] == 2
        assert opened.metadata["general.file_type"] == FILE_TYPES["q4_0"]
    assert gguf.GGUFReader(out).tensors[0].tensor_type.name == "Q4_0"


def test_bfloat16_that_loaders_cannot_read_becomes_float32(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.gguf"
    ones = {
        name: np.ones(shape, ml_dtypes.bfloat16)
        for name, shape in [
            ("head.modulation", (1, 2, 8)),
            ("n.weight", (8,)),
            ("c.weight", (2, 70)),
        ]
    }
    qr.save(ones, source)
    qr.quantize_file(source, out, "q8_0")
    stored = {name: kind for name, (kind, _, _) in gguf_oracle.read(out)[0].items()}
    assert stored == {"head.modulation": "F32", "n.weight": "F32", "c.weight": "BF16"}


def test_a_checkpoints_prefix_does_not_hide_the_model(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.gguf"
    prefix = "model.diffusion_model."
    save_file({prefix + name: np.ones((32, 64), np.float16) for name in (FLUX, LAYER)}, source)
    qr.quantize_file(source, out, "q8_0")
    with qr.open(out) as opened:
        assert opened.metadata["general.architecture"] == "flux"
