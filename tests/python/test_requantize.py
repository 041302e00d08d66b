# SPDX-License-Identifier: Apache-2.0
"""Layers that are quantized already: decoded tile by tile, and quantized to another format."""

import json
from pathlib import Path
from typing import Any

import gguf_oracle
import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray
from reference.format_reference import name_of, variants
from safetensors.numpy import load_file, save_file
from value_kinds import values_of

FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
LAYER = "double_blocks.0.img_attn.qkv.weight"
LONG = "double_blocks.0.img_mlp.0.weight"

# In which ways files hold layers: every registered format, and groups that end amid a byte.
FORMATS = {
    name_of(of.format, fields): qr.Format(of.format, **fields)
    for of, fields in variants()
    if of.in_files(fields) and fields.get("rounding") != "stochastic" and fields.get("packed", True)
}
FORMATS |= {
    "int8-groups-of-35": qr.Format("int8", group_size=35),
    "int4-groups-of-35": qr.Format("int4", group_size=35),
    "int4-row": qr.Format("int4", group_size="row"),
}


def tensors_of(dtype: Any = np.float32) -> dict[str, NDArray[Any]]:
    """A layer of many rows, and one whose rows are longer than a tile and no round number."""
    return {
        FLUX: np.ones(128, dtype),
        LAYER: values_of("normal", (48, 4480)).astype(dtype),
        LONG: values_of("normal", (16, 143_360)).astype(dtype),
    }


def quantize_all(source: Path, folder: Path, kind: str, word: str) -> tuple[Path, qr.FileReport]:
    """Quantize both layers, in the first kind of file that carries the format."""
    format_ = FORMATS[kind]
    for ending in ("safetensors", "gguf"):
        path = folder / f"{word}.{ending}"
        try:
            rules: dict[str, Any] = {"norm": None, "": format_}
            return path, qr.quantize_file(source, path, format_, rules=rules)
        except qr.UnsupportedFormatError:
            continue
    raise AssertionError(kind)


def quantized_file(folder: Path, kind: str, tensors: dict[str, NDArray[Any]]) -> Path:
    floats = folder / "floats.safetensors"
    save_file(tensors, floats)
    path, report = quantize_all(floats, folder, kind, "quantized")
    assert [each.name for each in report.layers if each.is_quantized] == [LAYER, LONG]
    return path


def layers_of(path: Path) -> dict[str, Any]:
    with qr.open(path) as opened:
        return {name: opened[name] for name in opened}


@pytest.mark.parametrize("before", FORMATS)
@pytest.mark.parametrize("after", FORMATS)
def test_codes_are_those_of_the_values_that_were_restored(
    tmp_path: Path, before: str, after: str
) -> None:
    source = quantized_file(tmp_path, before, tensors_of())
    format_ = FORMATS[after]
    new, report = quantize_all(source, tmp_path, after, "new")
    actions = {layer.name: layer.action for layer in report.layers if layer.action != "kept"}
    if before == after:
        assert actions == {}
        assert [layers_of(new)[name] == layers_of(source)[name] for name in (LAYER, LONG)] == [
            True
        ] * 2
        return
    assert actions == {LAYER: "requantized", LONG: "requantized"}
    assert [each for each in report.warnings if "errors of both times add up" in each]
    found, stored = layers_of(new), layers_of(source)
    for name in (LAYER, LONG):
        layer = stored[name]
        expected = qr.quantize(layer.dequantize("float32"), format_, name=name)
        for role, part in expected.parts.items():
            assert found[name].parts[role].tobytes() == part.tobytes(), role
        assert found[name].shape == layer.shape
        # As it was before it was quantized for the first time, where the file says that.
        # GGUF has vectors of float32 whatever the model was.
        of_gguf = ".gguf" in (source.suffix, new.suffix)
        assert of_gguf or found[name].dtype_name == "float32"


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 2}, {"io": "mmap"}])
def test_the_bytes_do_not_depend_on_how_a_job_runs(tmp_path: Path, options: dict[str, Any]) -> None:
    source = quantized_file(tmp_path, "int4-groups-of-35", tensors_of())
    usual, other = tmp_path / "usual.safetensors", tmp_path / "other.safetensors"
    qr.quantize_file(source, usual, "fp8_e4m3")
    qr.quantize_file(source, other, "fp8_e4m3", **options)
    assert usual.read_bytes() == other.read_bytes()


def test_a_state_dict_is_what_the_file_is(tmp_path: Path) -> None:
    source = quantized_file(tmp_path, "int8_rowwise", tensors_of(np.float16))
    new = tmp_path / "new.safetensors"
    qr.quantize_file(source, new, "int8", rules={"mlp": "int4"})
    made = qr.quantize_state_dict(load_file(source), "int8", rules={"mlp": "int4"})
    assert layers_of(source)[LAYER].dtype_name == layers_of(new)[LAYER].dtype_name == "float16"
    with qr.open(new) as opened:
        assert made.metadata == opened.metadata
    expected = load_file(new)
    assert set(made) == set(expected)
    for name, array in expected.items():
        assert made[name].tobytes() == array.tobytes()


def test_the_error_is_that_of_the_second_time(tmp_path: Path) -> None:
    source = quantized_file(tmp_path, "q8_0", tensors_of())
    report = qr.quantize_file(
        source, tmp_path / "new.safetensors", "int8_rowwise", measure_error=True
    )
    before = layers_of(source)
    for layer in report.layers:
        if layer.is_quantized:
            values = before[layer.name].dequantize("float32")
            expected = qr.quantize(values, "int8_rowwise", name=layer.name).error(values)
            assert layer.error is not None
            assert layer.error["max_abs"] == expected.max_abs
            assert layer.error["rmse"] == pytest.approx(expected.rmse, rel=1e-12)


def test_what_stays_becomes_floats_in_another_kind_of_file(tmp_path: Path) -> None:
    source = quantized_file(tmp_path, "q8_0", tensors_of(np.float16))
    new = tmp_path / "new.safetensors"
    report = qr.quantize_file(source, new, "fp8_e4m3", rules={"mlp": None})
    layers = {layer.name: layer for layer in report.layers}
    assert (layers[LONG].action, layers[LONG].reason) == ("restored", "left by the rule 'mlp'")
    assert layers[LAYER].action == "requantized"
    expected = layers_of(source)[LONG].dequantize("float16")
    with qr.open(new) as opened:
        left = opened[LONG]
        assert isinstance(left, qr.CheckpointTensor)
        np.testing.assert_array_equal(left.numpy(), expected)
    assert qr.quantize_file(source, new, "fp8_e4m3", rules={"": None}).refusal is None


def test_what_cannot_be_decoded_stays_or_is_refused(tmp_path: Path) -> None:
    path, new = tmp_path / "gptq.safetensors", tmp_path / "new.gguf"
    gptq: dict[str, NDArray[Any]] = {
        "l.qweight": np.ones((8, 64), np.int32),
        "l.scales": np.ones((1, 64), np.float16),
        "l.g_idx": np.zeros(64, np.int32),
        FLUX: np.ones(128, np.float16),
        LAYER: values_of("normal", (64, 64)),
    }
    save_file(gptq, path)
    with pytest.raises(qr.UnsupportedFormatError, match=r"'l\.\w+'.*quantized for others.*GPTQ"):
        qr.quantize_file(path, new, "q8_0")
    assert not new.exists()
    kept = qr.quantize_file(path, tmp_path / "new.safetensors", "int8_rowwise")
    assert {each.name: each.action for each in kept.layers}["l.scales"] == "kept"


def test_rules_find_layers_by_the_names_that_they_had(tmp_path: Path) -> None:
    source = quantized_file(tmp_path, "int4", tensors_of())
    report = qr.quantize_file(
        source, tmp_path / "new.safetensors", "int8_rowwise", rules={r"qkv\.weight$": "fp8_e4m3"}
    )
    formats = {layer.name: layer.format for layer in report.layers}
    assert formats == {FLUX: None, LAYER: "fp8_e4m3", LONG: "int8_rowwise"}
    assert "quantization_config" not in report.metadata
    # One layer that stays keeps the configuration, which has no place for others.
    left = qr.quantize_file(source, tmp_path / "left.safetensors", "int8", rules={"qkv": None})
    assert {layer.action for layer in left.layers} == {"kept"}
    assert "holds layers of compressed-tensors already" in str(left.refusal)


def test_a_value_that_is_not_finite_names_its_layer(tmp_path: Path) -> None:
    path, new = tmp_path / "in.safetensors", tmp_path / "new.safetensors"
    codes = values_of("normal", (64, 64)).astype(ml_dtypes.float8_e4m3fn)
    codes[3, 7] = np.nan
    save_file({FLUX: np.ones(128, np.float16), LAYER: codes}, path)
    with pytest.raises(qr.NonFiniteError, match=r"qkv\.weight.*row 3, column 7"):
        qr.quantize_file(path, new, "int8_rowwise")
    assert not new.exists()
    report = qr.quantize_file(path, new, "int8_rowwise", on_error="skip")
    assert list(report.errors) == [LAYER]
    assert {each.name: each.action for each in report.layers} == {FLUX: "kept", LAYER: "kept"}
    assert str(report.errors[LAYER]) in str({e.name: e.reason for e in report.layers}[LAYER])
    assert layers_of(new)[LAYER].codes.tobytes() == codes.tobytes()


def test_the_marker_of_old_files_stays_with_the_last_layer_that_needs_it(tmp_path: Path) -> None:
    path, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    q = qr.quantize(values_of("normal", (64, 64)), "fp8_e4m3")
    assert q.tensor_scale is not None
    tensors: dict[str, NDArray[Any]] = {"scaled_fp8": np.zeros(2, ml_dtypes.float8_e4m3fn)}
    for layer in ("a", "b"):
        tensors |= {f"{layer}.weight": q.codes, f"{layer}.scale_weight": q.tensor_scale}
    save_file(tensors, path)
    for left, stays in (("b", True), ("a", True), ("none", False)):
        qr.quantize_file(path, new, "int8_rowwise", rules={f"^{left}": None})
        with qr.open(new) as opened:
            assert all(isinstance(opened[f"{name}.weight"], qr.QuantizedTensor) for name in "ab")
        assert (b'"scaled_fp8"' in new.read_bytes()) == stays


def test_shapes_that_were_changed_for_blocks_come_back(tmp_path: Path) -> None:
    path, new = tmp_path / "in.gguf", tmp_path / "new.safetensors"
    w = values_of("normal", (72, 256))
    gguf_oracle.write(
        path,
        {LAYER: w, "norm.bias": np.ones(4, np.float32)},
        **{f"comfy_gguf.orig_shape.{LAYER}": [64, 32, 3, 3]},
    )
    blocks = tmp_path / "blocks.gguf"
    qr.quantize_file(path, blocks, "q8_0")
    for source, expected in ((path, w), (blocks, qr.quantize(w, "q8_0").dequantize())):
        for job in (qr.convert_file, qr.dequantize_file):
            if source == path and job is qr.dequantize_file:
                continue
            report = job(source, new, dtype="float32")
            values = load_file(new)[LAYER]
            assert values.shape == (64, 32, 3, 3)
            np.testing.assert_array_equal(values.reshape(72, 256), expected)
            assert not any("orig_shape" in key for key in report.metadata)
        report = qr.quantize_file(source, new, "fp8_e4m3", dtype="float32")
        reasons = {layer.name: layer.reason for layer in report.layers}
        assert "orig_shape" in str(reasons[LAYER])
        assert load_file(new)[LAYER].shape == (64, 32, 3, 3)


def test_a_model_is_known_whatever_its_layers_are_stored_as(tmp_path: Path) -> None:
    floats, int4 = tmp_path / "in.safetensors", tmp_path / "int4.safetensors"
    clip = "text_model.encoder.layers.0.mlp.fc1.weight"
    save_file({clip: values_of("normal", (64, 128)).astype(np.float16)}, floats)
    qr.quantize_file(floats, int4, "int4", group_size=32)
    for source in (floats, int4):
        report = qr.quantize_file(source, tmp_path / "new.safetensors", "fp8_e4m3")
        assert report.refusal is not None, source
        assert not any(layer.is_quantized for layer in report.layers)
    sd3 = "joint_blocks.0.x_block.attn.qkv.weight"
    save_file({sd3: values_of("normal", (64, 128)).astype(np.float16)}, floats)
    qr.quantize_file(floats, int4, "int4", group_size=32)
    report = qr.quantize_file(int4, tmp_path / "new.gguf", "q8_0")
    assert report.metadata["general.architecture"] == "sd3"


def test_one_configuration_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """Also where it stands beside the file, and layers lie in bytes that others use too."""
    int8 = tmp_path / "int8.safetensors"
    tensors: dict[str, NDArray[Any]] = {}
    for name in "ab":
        q = qr.quantize(values_of("normal", (64, 128)), "int8", symmetric=True)
        tensors |= {f"{name}.weight": q.codes, f"{name}.weight_scale": q.scales}
    save_file(tensors, int8)
    weights = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    quantization = {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "config_groups": groups,
    }
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": quantization}))
    with qr.open(int8) as opened:
        assert isinstance(opened["a.weight"], qr.QuantizedTensor)
    whole = qr.quantize_file(int8, tmp_path / "whole.safetensors", "int4")
    assert {layer.action for layer in whole.layers} == {"requantized"}
    assert any("config.json" in each for each in whole.warnings)
    left = qr.quantize_file(int8, tmp_path / "new.safetensors", "int4", rules={"^a": None})
    assert {layer.action for layer in left.layers} == {"kept"}
    assert "quantization_config" in str(left.refusal)


def test_what_is_skipped_is_told_of_all_its_parts(tmp_path: Path) -> None:
    source = quantized_file(tmp_path, "int8_rowwise", tensors_of())
    entries = load_file(source)
    entries[LAYER + "_scale"] = entries[LAYER + "_scale"].copy()
    entries[LAYER + "_scale"][3] = np.nan
    save_file(entries, source)
    report = qr.quantize_file(source, tmp_path / "new.safetensors", "fp8_e4m3", on_error="skip")
    reasons = {layer.name: str(layer.reason) for layer in report.layers if layer.action == "kept"}
    parts = [reason for name, reason in reasons.items() if name.startswith(LAYER[:-7])]
    assert len(parts) == 3
    assert all("it cannot be quantized" in reason for reason in parts)
    assert any("1 layer was not quantized because of an error" in each for each in report.warnings)


def test_long_odd_groups_are_decoded_from_where_a_tile_begins(tmp_path: Path) -> None:
    """Of one row of two groups that end amid a byte; seconds would be minutes."""
    columns, group = 2_000_002, 1_000_001
    w = values_of("normal", (2, columns))
    format_ = qr.Format("int4", group_size=group, symmetric=True)
    save_file({LAYER: w}, tmp_path / "in.safetensors")
    source, new = tmp_path / "q.safetensors", tmp_path / "new.safetensors"
    qr.quantize_file(tmp_path / "in.safetensors", source, format_)
    qr.dequantize_file(source, new)
    expected = qr.quantize(w, format_).dequantize()
    assert load_file(new)[LAYER].tobytes() == expected.tobytes()
