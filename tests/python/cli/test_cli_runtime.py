# SPDX-License-Identifier: Apache-2.0
"""`quarrow quantize --runtime`: a file of which ComfyUI would load nothing is refused."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

RunCli = Callable[..., subprocess.CompletedProcess[str]]
QUANTIZE = ("quantize", "model.safetensors", "out.safetensors", "-f", "int8_rowwise")
LAYER = "text_model.encoder.layers.0.mlp.fc1.weight"
REASON = "ComfyUI loads this text encoder without the scales of quantized layers"


@pytest.fixture(autouse=True)
def _clip(tmp_path: Path) -> None:
    save_file({LAYER: np.ones((64, 64), np.float16)}, tmp_path / "model.safetensors")


@pytest.mark.parametrize("chosen", [(), ("--runtime", "comfyui"), ("--force",)])
def test_it_is_refused_in_one_line_and_nothing_is_written(
    run_cli: RunCli, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    result = run_cli(*QUANTIZE, *chosen)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"quarrow: error: nothing can be quantized: {REASON}; ")
    assert "--runtime none" in line
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_json_says_why_each_tensor_stays(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli(*QUANTIZE, "--json")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert report["dry_run"]
    assert report["runtime"] == "comfyui"
    assert result.stderr == f"quarrow: error: {report['refusal']}\n"
    assert [(each["name"], each["reason"]) for each in report["layers"]] == [(LAYER, REASON)]
    assert not (tmp_path / "out.safetensors").exists()


def test_none_quantizes_with_a_warning(run_cli: RunCli) -> None:
    result = run_cli(*QUANTIZE, "--runtime", "none")
    assert result.returncode == 0
    assert "1 tensor to int8_rowwise" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("quarrow: warning: runtime='none' held nothing back")


def test_a_rule_quantizes_with_a_warning(run_cli: RunCli) -> None:
    result = run_cli(*QUANTIZE, "--rule", "fc1=int8_rowwise")
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("quarrow: warning: 1 layer is quantized by a rule, and would be read")


def test_the_summary_and_the_page_say_why_layers_stay(run_cli: RunCli, tmp_path: Path) -> None:
    flux = {"double_blocks.0.img_attn.norm.key_norm.scale": np.ones(64, np.float16)}
    for index in range(6):
        flux[f"double_blocks.{index}.img_attn.qkv.weight"] = np.ones((64, 64), np.float16)
    tensors = {f"model.diffusion_model.{name}": array for name, array in flux.items()}
    tensors["first_stage_model.decoder.mid.attn_1.q.weight"] = np.ones((64, 64), np.float16)
    save_file(tensors, tmp_path / "model.safetensors")
    result = run_cli(*QUANTIZE, "--report", "page.html")
    assert (result.returncode, result.stderr) == (0, "")
    reason = "ComfyUI loads VAEs without the scales of quantized layers"
    assert f"left alone  1 tensor: {reason}\n" in result.stdout
    assert reason in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_wrong_runtimes_are_one_line(run_cli: RunCli) -> None:
    result = run_cli(*QUANTIZE, "--runtime", "forge")
    assert result.returncode == 1
    assert "'forge' is not one of 'comfyui', 'none'" in result.stderr
    result = run_cli(*QUANTIZE[:-1], "int8", "--runtime", "comfyui")
    assert result.stderr == (
        "quarrow: error: comfyui does not read int8; of these formats it reads int8_rowwise, "
        "fp8_e4m3, fp8_e5m2\n"
    )
