# SPDX-License-Identifier: Apache-2.0
"""Layers that other programs quantized: restored where they can be, and else left, with true words.

What is restored bit by bit is asked in tests/cpp/pipeline/foreign_layers_test.cpp.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from checkpoints import header_bytes, raw_tensors
from safetensors.numpy import load_file, save_file

FLOATS = np.linspace(-1, 1, 64 * 64, dtype="f4").reshape(64, 64)


def foreign() -> dict[str, Any]:
    """Return a layer each of bitsandbytes, GPTQ and HQQ, and a norm."""
    return {
        "b.weight": np.ones((2048, 1), "u1"),
        "b.weight.absmax": np.ones(64, "f4"),
        "b.weight.quant_map": np.linspace(-1, 1, 16, dtype="f4"),
        "b.weight.quant_state.bitsandbytes__nf4": np.frombuffer(b"{}", "u1"),
        "b.bias": np.ones(64, "f4"),
        "g.qweight": np.ones((8, 64), "i4"),
        "g.qzeros": np.ones((1, 8), "i4"),
        "g.scales": np.full((1, 64), 1e-3, "f2"),
        "g.g_idx": np.zeros(64, "i4"),
        "h.W_q": FLOATS.astype("f2"),
        "h.scale": FLOATS,
        "norm.weight": np.ones(64, "f4"),
    }


@pytest.mark.parametrize("format_", ["int8_rowwise", "int8"])
def test_what_belongs_to_a_layer_keeps_its_bytes(format_: str, tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file(foreign() | {"f.weight": FLOATS}, source)
    report = qr.quantize_file(
        source, out, format_, dtype="float16", rules=[("", format_)], sync=False
    )
    before, after = raw_tensors(source)[0], raw_tensors(out)[0]
    for name in foreign():
        if name != "norm.weight":
            assert after[name] == before[name], name
    assert after["norm.weight"][0] == "F16"
    layers = {layer.name: layer for layer in report.layers}
    assert layers["b.weight.quant_map"].reason == "already quantized (bitsandbytes)"
    assert layers["g.scales"].reason == "already quantized (GPTQ)"
    assert layers["h.W_q"].reason == "already quantized (HQQ)"
    assert layers["f.weight"].action == "quantized"
    assert "GPTQ" in "".join(report.warnings)
    assert "nobody loads them all" in "".join(report.warnings)


def test_what_cannot_be_restored_is_named(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file(foreign(), source)
    report = qr.dequantize_file(source, out, dtype="float16", sync=False)
    assert report.refusal == (
        "nothing was restored: 1 layer (bitsandbytes), 1 layer (GPTQ), 1 layer (HQQ) cannot be "
        "restored yet"
    )
    assert report.refusal in report.warnings
    layers = {layer.name: layer for layer in report.layers}
    words = "quantized in a way that cannot be restored yet"
    assert layers["g.qweight"].reason == f"{words} (GPTQ)"
    assert layers["norm.weight"].action == "converted"


def test_a_plain_file_has_nothing_to_restore(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"f.weight": FLOATS}, source)
    report = qr.dequantize_file(source, out, sync=False)
    assert report.refusal is not None
    assert "its only tensor is no part of a quantized layer" in report.refusal
    result = qr.dequantize_state_dict({"f.weight": FLOATS})
    assert result.warnings == [report.refusal]
    assert result["f.weight"] is not None


def fp8_file(path: Path) -> Path:
    header = {
        "q.weight": {"dtype": "F8_E4M3FNUZ", "shape": [64, 64], "data_offsets": [0, 4096]},
        "q.bias": {"dtype": "F16", "shape": [64], "data_offsets": [4096, 4224]},
    }
    path.write_bytes(header_bytes(header) + bytes(4224))
    return path


def refusal_of(report: qr.FileReport) -> str:
    assert report.refusal is not None
    assert report.refusal in report.warnings
    return report.refusal


def test_nothing_to_quantize_is_said_with_its_reasons(tmp_path: Path) -> None:
    source, out = fp8_file(tmp_path / "in.safetensors"), tmp_path / "out.safetensors"
    words = "1 tensor: a float type of 8 bits or less, which is not quantized again; start from"
    assert words in refusal_of(qr.quantize_file(source, out, "int8_rowwise", sync=False))
    assert "(FP8 without scales)" in refusal_of(qr.dequantize_file(source, out, sync=False))
    save_file({"a.weight": FLOATS}, source)
    report = qr.quantize_file(source, out, "int4", group_size=128, sync=False)
    assert "choose a group_size that divides their length" in refusal_of(report)
    # What is converted is something.
    report = qr.quantize_file(source, out, "int4", dtype="float16", group_size=128, sync=False)
    assert report.layers[0].action == "converted"
    assert "nothing was quantized" in report.warnings[0]
    assert report.refusal is None


def test_layers_that_a_group_does_not_divide_are_a_warning(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"a.weight": FLOATS, "b.weight": np.ones((64, 96), "f4")}, source)
    report = qr.quantize_file(source, out, "int4", group_size=64, sync=False)
    assert report.warnings[0].startswith("1 tensor stays as it is: the rows do not divide")
    assert "or 'row'" in report.warnings[0]


def test_two_runtimes_in_one_file_are_a_warning(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"a.weight": FLOATS, "b.weight": FLOATS}, source)
    int4 = qr.Format("int4", group_size=64)
    rules: list[tuple[str, str | qr.Format]] = [("a", "int8_rowwise"), ("b", int4)]
    report = qr.quantize_file(source, out, "int8", rules=rules, group_size="row", sync=False)
    words = "quantized layers for ComfyUI and compressed-tensors, and nobody loads them all"
    assert words in "".join(report.warnings)
    # Or by quantizing a quantized file again.
    qr.quantize_file(source, out, "int8_rowwise", rules=[("b", None)], sync=False)
    left = [("a", None)]
    again = qr.quantize_file(out, tmp_path / "again", int4, rules=left, sync=False)
    assert words in "".join(again.warnings)
    # Those of one runtime go together.
    same = qr.quantize_file(out, tmp_path / "again", "int8_rowwise", sync=False)
    assert same.warnings == []
    qr.quantize_file(source, out, "int4", group_size=64, rules=[("b", None)], sync=False)
    report = qr.quantize_file(out, tmp_path / "again", "int8", rules=left, sync=False)
    assert "quantization_config would have to name this" in refusal_of(report)


def test_comfyui_writes_less_than_we_do(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    words = np.frombuffer(b'{"format": "int8_tensorwise"}', "u1")
    codes = np.arange(-32, 32, dtype="i1").reshape(8, 8)
    for scale in (np.array(0.5, "f4"), np.array([0.5], "f4"), np.full((8, 1), 0.5, "f4")):
        layer = {"q.weight": codes, "q.weight_scale": scale, "q.comfy_quant": words}
        save_file(layer | {"q.bias": np.ones(8, "f2")}, source)
        qr.dequantize_file(source, out, sync=False)
        restored = load_file(out)
        np.testing.assert_array_equal(restored["q.weight"], codes.astype("f2") / 2, strict=True)
        assert set(restored) == {"q.weight", "q.bias"}
        with qr.open(source) as checkpoint:
            q = checkpoint["q.weight"]
            assert isinstance(q, qr.QuantizedTensor)
            np.testing.assert_array_equal(q.dequantize(), codes.astype("f4") / 2)


def test_a_config_beside_the_file_describes_its_layers(tmp_path: Path) -> None:
    source, out = tmp_path / "model.safetensors", tmp_path / "out.safetensors"
    whole = tmp_path / "whole.safetensors"
    save_file({"a.b.weight": FLOATS, "norm.weight": np.ones(64, "f4")}, whole)
    qr.quantize_file(whole, source, "int4", group_size=64, sync=False)
    qr.dequantize_file(source, out, sync=False)
    right = load_file(out)
    # As everybody else writes it: without metadata, by the class of the layers.
    with qr.open(source) as checkpoint:
        config = json.loads(checkpoint.metadata["quantization_config"])
    config["config_groups"]["group_0"]["targets"] = ["Linear"]
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": config}))
    save_file(load_file(source), source, {"format": "pt"})
    report = qr.dequantize_file(source, out, sync=False)
    np.testing.assert_array_equal(load_file(out)["a.b.weight"], right["a.b.weight"], strict=True)
    assert f"{str(tmp_path / 'config.json')!r} says" in report.warnings[0]
    (tmp_path / "config.json").unlink()
    report = qr.dequantize_file(source, out, sync=False)
    assert "without a quantization_config in the metadata" in refusal_of(report)


def test_metadata_follows_the_layers(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"a.weight": FLOATS, "b.weight": FLOATS}, source)
    assert qr.quantize_file(source, out, "int8_rowwise", sync=False).metadata == {}
    report = qr.quantize_file(source, out, "int8", sync=False)
    assert report.metadata["format"] == "pt"
    assert qr.dequantize_file(out, tmp_path / "back", sync=False).metadata == {"format": "pt"}
    listed = {"layers": {"a": {"format": "int8_tensorwise"}, "b": {"format": "nvfp4"}}}
    codes = {"a.weight": np.ones((64, 64), "i1"), "a.weight_scale": np.ones((64, 1), "f4")}
    metadata = {"_quantization_metadata": json.dumps(listed), "modelspec.hash_sha256": "0a"}
    metadata["note"] = "x"
    save_file(codes | {"b.weight": FLOATS}, source, metadata)
    report = qr.quantize_file(source, out, "int8_rowwise", sync=False)
    assert report.metadata == {
        "_quantization_metadata": '{"layers": {"a": {"format": "int8_tensorwise"}}}',
        "note": "x",
        "format": "pt",
    }
    report = qr.dequantize_file(source, out, sync=False)
    assert report.metadata == {"note": "x", "format": "pt"}


@pytest.mark.parametrize(
    "names",
    [
        ["x.processor.qkv_lora1.down", "x.processor.qkv_lora1.up"],
        ["q_proj.lora_a", "q_proj.lora_b"],
        ["d.x.a1", "d.x.a2", "d.x.b1", "d.x.b2"],
        ["lora_controlnet", "input_blocks.1.1.proj_in"],
    ],
)
def test_quantized_adapters_are_archives(names: list[str], tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    parts = {name if name == "lora_controlnet" else f"{name}.weight": FLOATS for name in names}
    save_file(parts, source)
    report = qr.quantize_file(source, tmp_path / "out.safetensors", "int8", sync=False)
    quantized = sum(layer.action == "quantized" for layer in report.layers)
    assert quantized > 0
    warning = report.warnings[0]
    if quantized == 1:
        assert warning.startswith("1 LoRA matrix was quantized: no runtime")
    else:
        assert warning.startswith(f"{quantized} LoRA matrices were quantized: no runtime")


def test_one_matrix_of_an_adapter_is_counted_as_one(tmp_path: Path) -> None:
    save_file({"q.lora_A.weight": FLOATS, "q.lora_B.weight": FLOATS}, tmp_path / "in.safetensors")
    report = qr.quantize_file(
        tmp_path / "in.safetensors", tmp_path / "out.safetensors", "int8", rules={"lora_B": None}
    )
    assert report.warnings[0].startswith("1 LoRA matrix was quantized: no runtime loads")
