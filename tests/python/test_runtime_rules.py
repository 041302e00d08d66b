# SPDX-License-Identifier: Apache-2.0
"""Whose loader decides what is quantized: plans for files of real names and shapes."""

import json
import logging
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from checkpoints import SUPPORT, write_zeros
from safetensors.numpy import load_file, save_file

FORMAT = "int8_rowwise"
Shapes = dict[str, tuple[int, ...]]

CONTROL = "ComfyUI loads ControlNets and adapters without the scales of quantized layers"
DIFFUSERS = "in diffusers' names, under which ComfyUI loads no scales of quantized layers"
ENCODER = "ComfyUI loads this text encoder without the scales of quantized layers"
VAE = "ComfyUI loads VAEs without the scales of quantized layers"


def manifest(name: str) -> Shapes:
    content = json.loads((SUPPORT / "manifests" / f"{name}.json").read_text())
    return {name: tuple(shape) for name, _, shape in content["tensors"]}


def clip_l(prefix: str = "") -> Shapes:
    shapes: Shapes = {f"{prefix}text_model.embeddings.token_embedding.weight": (49408, 768)}
    for index in range(12):
        layer = f"{prefix}text_model.encoder.layers.{index}."
        shapes[f"{layer}mlp.fc1.weight"] = (3072, 768)
        shapes[f"{layer}self_attn.q_proj.weight"] = (768, 768)
    return shapes


def t5(blocks: int = 24, rows: int = 10240, prefix: str = "") -> Shapes:
    attention = f"{prefix}encoder.block.0.layer.0.SelfAttention."
    shapes: Shapes = {
        f"{prefix}shared.weight": (32128, 4096),
        f"{attention}relative_attention_bias.weight": (32, 64),
    }
    for index in range(blocks):
        block = f"{prefix}encoder.block.{index}.layer."
        shapes[f"{block}0.SelfAttention.k.weight"] = (4096, 4096)
        shapes[f"{block}1.DenseReluDense.wi_1.weight"] = (rows, 4096)
    return shapes


def qwen() -> Shapes:
    layer = "model.layers.0."
    return {
        "model.embed_tokens.weight": (151936, 2560),
        f"{layer}input_layernorm.weight": (2560,),
        f"{layer}post_attention_layernorm.weight": (2560,),
        f"{layer}self_attn.q_norm.weight": (128,),
        f"{layer}self_attn.k_proj.weight": (1024, 2560),
        f"{layer}mlp.gate_proj.weight": (9728, 2560),
        "lm_head.weight": (151936, 2560),
    }


def vae(prefix: str = "") -> Shapes:
    return {
        f"{prefix}decoder.conv_in.weight": (512, 4, 3, 3),
        f"{prefix}decoder.up_blocks.0.resnets.0.norm1.weight": (512,),
        f"{prefix}decoder.mid_block.attentions.0.to_q.weight": (512, 512),
    }


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def plan(folder: Path, shapes: Shapes, format_: str = FORMAT, **options: Any) -> qr.FileReport:
    entries = {name: ("F16", shape, 2 * math.prod(shape)) for name, shape in shapes.items()}
    source = write_zeros(folder / "model.safetensors", entries)
    return qr.quantize_file(source, folder / "out", format_, dry_run=True, **options)


def quantized(report: qr.FileReport) -> set[str]:
    return {layer.name for layer in report.layers if layer.action == "quantized"}


def reasons(report: qr.FileReport) -> Counter[str | None]:
    return Counter(layer.reason for layer in report.layers if layer.action == "kept")


def is_linear(name: str, shape: tuple[int, ...]) -> bool:
    return name.endswith(".weight") and len(shape) == 2


LOADED = {
    "Flux": (manifest("flux_transformer_original"), 19 * 10 + 38 * 3),
    "Flux in a checkpoint": (
        under("model.diffusion_model.", manifest("flux_transformer_original")),
        19 * 10 + 38 * 3,
    ),
    "T5-XXL": (t5(), 48),
    "Qwen3": (qwen(), 2),
}


@pytest.mark.parametrize("kind", LOADED)
def test_what_comfyui_loads_quantized_is_quantized(tmp_path: Path, kind: str) -> None:
    shapes, count = LOADED[kind]
    report = plan(tmp_path, shapes, runtime="comfyui")
    assert len(quantized(report)) == count
    assert report.warnings == []
    assert (report.runtime, report.refusal) == ("comfyui", None)


MISREAD = {
    "ControlNet of diffusers": (manifest("sd15_controlnet"), CONTROL),
    "ControlNet": (manifest("sd15_controlnet_original"), CONTROL),
    "Flux ControlNet": (manifest("flux_controlnet_small"), CONTROL),
    "UNet of diffusers": (manifest("sd15_unet"), DIFFUSERS),
    "CLIP-L": (clip_l(), ENCODER),
    "T5-base": (t5(12), ENCODER),
    "T5-XL": (t5(24, 5120), ENCODER),
    "VAE": (vae(), VAE),
}


@pytest.mark.parametrize("kind", MISREAD)
def test_what_comfyui_would_misread_stays(tmp_path: Path, kind: str) -> None:
    shapes, reason = MISREAD[kind]
    report = plan(tmp_path, shapes)
    assert quantized(report) == set()
    assert reasons(report)[reason] >= 1
    assert report.warnings == [report.refusal]
    assert report.refusal is not None
    for words in (reason, "original names", "runtime='none'", "--runtime none"):
        assert words in report.refusal
    with pytest.raises(qr.InvalidInputError) as raised:
        plan(tmp_path, shapes, runtime="comfyui")
    assert str(raised.value) == report.refusal

    everything = plan(tmp_path, shapes, runtime="none", rules=[("", FORMAT)])
    assert quantized(everything) == {n for n, shape in shapes.items() if is_linear(n, shape)}


def test_none_holds_back_what_it_did_before(tmp_path: Path) -> None:
    report = plan(tmp_path, manifest("sd15_controlnet"), runtime="none")
    (warning,) = report.warnings
    assert "a loader of your own" in warning
    assert report.runtime == "none"
    # Norms, embeddings and edges stay whoever reads the file.
    assert set(reasons(report)) == {
        "fewer than two dimensions",
        "convolution, ComfyUI loads quantized linear weights only",
        "an edge of the model: input, output, or the embedding of time or conditions",
    }


def test_the_parts_of_a_checkpoint_go_their_own_ways(tmp_path: Path) -> None:
    flux = under("model.diffusion_model.", manifest("flux_transformer_original"))
    encoders = clip_l("text_encoders.clip_l.transformer.") | t5(
        prefix="text_encoders.t5xxl.transformer."
    )
    report = plan(tmp_path, flux | encoders | vae("vae."), runtime="comfyui")
    parts = {name.split(".")[0] for name in quantized(report)}
    assert parts == {"model", "text_encoders"}
    assert not any("clip_l" in name for name in quantized(report))
    assert sum("t5xxl" in name for name in quantized(report)) == 48
    assert reasons(report)[ENCODER] == 24
    assert reasons(report)[VAE] == 1
    assert report.warnings == []


def test_a_rule_overrules_the_runtime_with_a_warning(tmp_path: Path) -> None:
    report = plan(tmp_path, clip_l(), rules=[("fc1", FORMAT)])
    assert len(quantized(report)) == 12
    (warning,) = report.warnings
    assert warning == f"12 layers are quantized by a rule, and would be read as noise: {ENCODER}"
    report = plan(tmp_path, clip_l(), rules=[(r"layers\.0\.mlp", FORMAT)], runtime="comfyui")
    assert report.warnings == [warning.replace("12 layers are", "1 layer is")]


def test_an_unknown_model_is_quantized_with_a_warning(tmp_path: Path) -> None:
    layers: Shapes = {f"blocks.{index}.q.weight": (64, 64) for index in range(8)}
    report = plan(tmp_path, layers)
    assert quantized(report) == set(layers)
    (warning,) = report.warnings
    assert "no model that ComfyUI is known to load" in warning
    # A few say nothing of the whole.
    del layers["blocks.7.q.weight"]
    assert plan(tmp_path, layers).warnings == []
    factor = "lora_unet_x.lora_"
    adapter: Shapes = {f"{factor}down.weight": (16, 320), f"{factor}up.weight": (320, 16)}
    (warning,) = plan(tmp_path, adapter).warnings
    assert "archive" in warning


def test_other_formats_are_nobodys(tmp_path: Path) -> None:
    report = plan(tmp_path, manifest("sd15_controlnet"), "int8")
    assert len(quantized(report)) > 80
    assert (report.warnings, report.runtime, report.refusal) == ([], "none", None)
    with pytest.raises(qr.InvalidInputError, match="does not read int4"):
        plan(tmp_path, clip_l(), "int4", runtime="comfyui")


@pytest.mark.parametrize("wrong", ["ComfyUI", "", 1, True, b"none", np.ones(2)])
def test_wrong_runtimes(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(qr.InvalidInputError, match="'comfyui', 'none' or None"):
        plan(tmp_path, clip_l(), runtime=wrong)
    with pytest.raises(qr.InvalidInputError, match="'comfyui', 'none' or None"):
        qr.quantize_state_dict({}, FORMAT, runtime=wrong)


def test_the_report_says_whose_rules_held(tmp_path: Path) -> None:
    plain = plan(tmp_path, clip_l()).to_dict()
    assert plain["runtime"] == "comfyui"
    assert plain["refusal"] == plain["warnings"][0]
    assert {layer["reason"] for layer in plain["layers"]} == {ENCODER, "embedding"}
    json.dumps(plain)


def test_a_file_of_which_nothing_loads_is_copied(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = {name: np.ones((64, 64), np.float16) for name in clip_l()}
    save_file(weights, tmp_path / "in")
    report = qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT)
    assert caplog.messages == [report.refusal]
    with qr.open(tmp_path / "out") as checkpoint:
        assert set(checkpoint) == set(weights)
    assert all((copied == 1).all() for copied in load_file(tmp_path / "out").values())
    with pytest.raises(qr.InvalidInputError, match="nothing can be quantized"):
        qr.quantize_file(tmp_path / "in", tmp_path / "refused", FORMAT, runtime="comfyui")
    assert not (tmp_path / "refused").exists()


def state_dict(names: Iterable[str]) -> dict[str, Any]:
    return {name: np.ones((64, 64), np.float16) for name in names}


def test_state_dicts_follow_the_same_rules(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    flux = state_dict(["double_blocks.0.img_attn.norm.key_norm.scale", "double_blocks.0.a.weight"])
    small = qr.quantize_state_dict(flux, FORMAT, runtime="comfyui")
    assert "double_blocks.0.a.comfy_quant" in small
    assert caplog.messages == []

    clip = state_dict(clip_l())
    assert set(qr.quantize_state_dict(clip, FORMAT)) == set(clip)
    (message,) = caplog.messages
    assert ENCODER in message
    with pytest.raises(qr.InvalidInputError, match="nothing can be quantized"):
        qr.quantize_state_dict(clip, FORMAT, runtime="comfyui")
    caplog.clear()
    small = qr.quantize_state_dict(clip, FORMAT, runtime="none")
    assert sum(name.endswith(".comfy_quant") for name in small) == 24
    (message,) = caplog.messages
    assert "a loader of your own" in message
    caplog.clear()
    # A part of a model, which says nothing of it.
    qr.quantize_state_dict(state_dict(["q.weight"]), FORMAT)
    assert caplog.messages == []


@pytest.mark.parametrize("format_", ["int8_rowwise", "int8", "int4"])
def test_the_same_layers_stay_under_either_names(tmp_path: Path, format_: str) -> None:
    """What ComfyUI's mapping says is one layer is left or quantized under both names."""
    original = manifest("flux_transformer_original")
    diffusers = manifest("flux_controlnet_small")
    left = {
        name
        for name, layer in zip(original, plan(tmp_path, original, format_).layers, strict=True)
        if is_linear(name, original[name]) and layer.action == "kept"
    }
    assert {name.split(".")[0] for name in left} == {
        *("img_in", "txt_in", "time_in", "vector_in", "guidance_in", "final_layer")
    }
    report = plan(tmp_path, diffusers, format_, runtime="none")
    kept = {layer.name for layer in report.layers if layer.action == "kept"}
    edges = {name for name in kept if is_linear(name, diffusers[name])}
    assert {name.split(".")[0] for name in edges} == {
        *("context_embedder", "x_embedder", "controlnet_x_embedder", "time_text_embed")
    }
    blocks = {name for name in diffusers if is_linear(name, diffusers[name])} - edges
    assert "single_transformer_blocks.0.proj_out.weight" in blocks
