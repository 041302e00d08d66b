# SPDX-License-Identifier: Apache-2.0
"""`quarrow dequantize`, and the options that jobs from file to file share."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import quarrow as qr

RunCli = Callable[..., subprocess.CompletedProcess[str]]
WriteModel = Callable[[dict[str, npt.NDArray[np.generic]]], Path]

QUANTIZE = ("quantize", "model.safetensors", "out.safetensors", "-f", "int4")
DEQUANTIZE = ("dequantize", "int4.safetensors", "out.safetensors")


@pytest.fixture
def layers(write_model: WriteModel) -> Path:
    """Write `model.safetensors` and, quantized, `int4.safetensors`."""
    random = np.random.default_rng(0)
    model = write_model(
        {
            "a.weight": random.standard_normal((64, 256)).astype(np.float16),
            "b.weight": random.standard_normal((32, 256)).astype(np.float32),
            "norm.weight": np.ones(2000, np.float32),
        }
    )
    qr.quantize_file(model, model.parent / "int4.safetensors", "int4")
    return model


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ((), {}),
        (("--dtype", "float32"), {"dtype": "float32"}),
        (("--io", "mmap", "--threads", "1", "--no-sync"), {}),
    ],
)
def test_dequantize_writes_what_the_python_interface_writes(
    run_cli: RunCli, layers: Path, options: tuple[str, ...], fields: dict[str, Any]
) -> None:
    result = run_cli(*DEQUANTIZE, *options)
    assert (result.returncode, result.stderr) == (0, "")
    assert "restored" in result.stdout
    api = layers.parent / "api.safetensors"
    qr.dequantize_file(layers.parent / "int4.safetensors", api, **fields)
    assert (layers.parent / "out.safetensors").read_bytes() == api.read_bytes()


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (("--group-size", "32"), {"group_size": 32}),
        (("--group-size", "row", "--symmetric"), {"group_size": "row", "symmetric": True}),
        (("--scale-dtype", "float16"), {"scale_dtype": "float16"}),
        (("--dtype", "bfloat16"), {"dtype": "bfloat16"}),
        (("--io", "mmap", "--threads", "1", "--no-sync"), {}),
    ],
)
def test_quantize_takes_the_fields_of_the_format_and_of_the_job(
    run_cli: RunCli, layers: Path, options: tuple[str, ...], fields: dict[str, Any]
) -> None:
    result = run_cli(*QUANTIZE, *options)
    assert (result.returncode, result.stderr) == (0, "")
    api = layers.parent / "api.safetensors"
    qr.quantize_file(layers, api, "int4", **fields)
    assert (layers.parent / "out.safetensors").read_bytes() == api.read_bytes()


@pytest.mark.parametrize("command", [QUANTIZE, DEQUANTIZE])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dtype", "int8"), "--dtype"),
        (("--io", "pipe"), "--io"),
        (("--threads", "0"), "--threads"),
        (("--max-shard-size", "many"), "many"),
        (("--max-shard-size", ""), "max_shard_size"),
    ],
)
def test_wrong_options_are_one_line(
    run_cli: RunCli,
    layers: Path,
    command: tuple[str, ...],
    options: tuple[str, ...],
    words: str,
) -> None:
    result = run_cli(*command, *options)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert words in result.stderr
    assert not (layers.parent / "out.safetensors").exists()


@pytest.mark.parametrize("size", ["0", "-1", "x"])
def test_a_wrong_group_size_is_one_line(run_cli: RunCli, layers: Path, size: str) -> None:
    result = run_cli(*QUANTIZE, f"--group-size={size}")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "group_size" in result.stderr
    assert not (layers.parent / "out.safetensors").exists()


@pytest.mark.parametrize("command", [QUANTIZE, DEQUANTIZE])
def test_a_plan_writes_nothing_and_force_replaces(
    run_cli: RunCli, layers: Path, command: tuple[str, ...]
) -> None:
    out = layers.parent / "out.safetensors"
    plan = json.loads(run_cli(*command, "--dry-run", "--json").stdout)
    assert not out.exists()
    out.write_bytes(b"old")
    refused = run_cli(*command)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "--force" in refused.stderr
    assert out.read_bytes() == b"old"
    assert run_cli(*command, "--force").returncode == 0
    assert out.stat().st_size == plan["bytes_out"]


@pytest.mark.parametrize("command", [QUANTIZE, DEQUANTIZE])
def test_every_shard_is_guarded(run_cli: RunCli, layers: Path, command: tuple[str, ...]) -> None:
    sharded = (*command, "--max-shard-size", "10kB")
    result = run_cli(*sharded, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    files = [layers.parent / name for name in json.loads(result.stdout)["files"]]
    assert len(files) > 2
    first, *others = files
    first.write_bytes(b"old")
    for path in others:
        path.unlink()
    refused = run_cli(*sharded)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert first.name in refused.stderr
    assert first.read_bytes() == b"old"
    assert not any(path.exists() for path in others)
    assert run_cli(*sharded, "--force").returncode == 0
    assert all(path.exists() for path in files)


def test_shards_are_read_as_one(run_cli: RunCli, layers: Path) -> None:
    result = run_cli(*QUANTIZE, "--max-shard-size", "10kB", "--json")
    index = json.loads(result.stdout)["files"][-1]
    assert run_cli("dequantize", index, "whole.safetensors").returncode == 0
    assert run_cli("dequantize", "int4.safetensors", "plain.safetensors").returncode == 0
    assert run_cli("compare", "plain.safetensors", "whole.safetensors").returncode == 0
    with (
        qr.open(layers.parent / "plain.safetensors") as plain,
        qr.open(layers.parent / "whole.safetensors") as whole,
    ):
        assert {name: plain.compare(name, whole) for name in plain} == dict.fromkeys(plain)


def test_a_layer_that_fails_is_left_on_demand(run_cli: RunCli, write_model: WriteModel) -> None:
    good = np.ones((32, 256), np.float32)
    bad = good.copy()
    bad[3, 5] = np.nan
    write_model({"bad.weight": bad, "good.weight": good})
    assert run_cli(*QUANTIZE).returncode == 1
    result = run_cli(*QUANTIZE, "--on-error", "skip", "--json")
    assert result.returncode == 0
    assert result.stderr.startswith("quarrow: warning: ")
    assert result.stderr.count("\n") == 1
    report = json.loads(result.stdout)
    assert report["errors"].keys() == {"bad.weight"}
    assert {each["name"]: each["action"] for each in report["layers"]} == {
        "bad.weight": "kept",
        "good.weight": "quantized",
    }


def test_a_damaged_file_is_exit_code_2(run_cli: RunCli, layers: Path) -> None:
    path = layers.parent / "int4.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    result = run_cli(*DEQUANTIZE)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert not (layers.parent / "out.safetensors").exists()
