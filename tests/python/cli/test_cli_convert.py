# SPDX-License-Identifier: Apache-2.0
"""`quarrow convert`, and quantizing what is quantized already."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

RunCli = Callable[..., subprocess.CompletedProcess[str]]

FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
LAYER = "double_blocks.0.img_attn.qkv.weight"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    weight = np.random.default_rng(1).normal(size=(64, 96)).astype(np.float16)
    save_file({FLUX: np.ones(128, np.float16), LAYER: weight}, path)
    return path


def test_there_and_back(run_cli: RunCli, model: Path) -> None:
    result = run_cli("convert", model.name, "model.gguf")
    assert (result.returncode, result.stderr) == (0, "")
    assert "left alone  2 tensors, as they are" in result.stdout
    result = run_cli("convert", "model.gguf", "back.safetensors", "--dtype", "float32")
    assert (result.returncode, result.stderr) == (0, "")
    assert "converted   2 tensors to F32" in result.stdout
    back = load_file(model.with_name("back.safetensors"))
    np.testing.assert_array_equal(back[LAYER], load_file(model)[LAYER].astype(np.float32))


def test_what_exists_is_replaced_by_force_alone(run_cli: RunCli, model: Path) -> None:
    model.with_name("model.gguf").write_bytes(b"mine")
    result = run_cli("convert", model.name, "model.gguf")
    assert result.returncode == 1
    assert "--force" in result.stderr
    assert model.with_name("model.gguf").read_bytes() == b"mine"
    assert run_cli("convert", model.name, "model.gguf", "--force").returncode == 0
    result = run_cli("convert", model.name, model.name, "--force")
    assert result.returncode == 1
    assert "source" in result.stderr


def test_a_dry_run_and_json(run_cli: RunCli, model: Path) -> None:
    result = run_cli("convert", model.name, "new.gguf", "--dtype", "bfloat16", "--dry-run")
    assert result.returncode == 0
    assert "nothing was written" in result.stdout
    facts = json.loads(run_cli("convert", model.name, "new.gguf", "--json").stdout)
    assert facts["format"] is None
    assert {layer["action"] for layer in facts["layers"]} == {"kept"}


def test_quantizing_again_is_said_once(run_cli: RunCli, model: Path) -> None:
    assert run_cli("quantize", model.name, "q8.gguf", "-f", "q8_0").returncode == 0
    result = run_cli("quantize", "q8.gguf", "int8.safetensors", "-f", "int8_rowwise")
    assert result.returncode == 0
    assert result.stderr.count("the errors of both times add up") == 1
    assert "requantized 1 tensor to int8_rowwise" in result.stdout
    result = run_cli("compare", "q8.gguf", "int8.safetensors")
    assert result.returncode == 0
    assert "different          1" in result.stdout
    result = run_cli("convert", "q8.gguf", "floats.safetensors")
    assert "1 quantized layer is a float tensor now" in result.stderr
    assert "restored    1 tensor to F16" in result.stdout
