# SPDX-License-Identifier: Apache-2.0
"""`quarrow inspect`: every tensor, the sums, the metadata, and no values."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import quarrow as qr
from safetensors.numpy import save_file

RunCli = Callable[..., subprocess.CompletedProcess[str]]
WriteModel = Callable[[dict[str, npt.NDArray[np.generic]]], Path]

HOSTILE = "a\x1b[31m\u202e\nb"


def test_each_tensor_is_a_line_and_each_type_a_sum(run_cli: RunCli, model: Path) -> None:
    result = run_cli("inspect", model.name)
    assert (result.returncode, result.stderr) == (0, "")
    tensors, totals = (part.splitlines() for part in result.stdout.split("\n\n"))
    assert sorted(line.split()[-1] for line in tensors[1:]) == [
        "block.k.weight",
        "block.q.bias",
        "block.q.weight",
        "conv.weight",
    ]
    assert any("64 x 96" in line and line.startswith("F16") for line in tensors)
    assert [line.split()[0] for line in totals] == ["F16", "F32", "file"]
    assert totals[0].split()[1:] == ["13.0", "kB", "3", "tensors"]
    assert totals[2].split() == ["file", f"{model.stat().st_size / 1000:.1f}", "kB", "4", "tensors"]


@pytest.mark.parametrize("format_name", ["int8_rowwise", "int4"])
def test_a_quantized_layer_is_one_line_as_it_was(
    run_cli: RunCli, write_model: WriteModel, format_name: str
) -> None:
    model = write_model({"a.weight": np.ones((32, 256), np.float16)})
    report = qr.quantize_file(model, model.parent / "new.safetensors", format_name)
    result = run_cli("inspect", "new.safetensors")
    assert result.returncode == 0
    lines, totals = (part.splitlines() for part in result.stdout.split("\n\n")[:2])
    assert len(lines) == 2
    assert totals[0].startswith(f"F16 as {format_name} ")
    assert [word for word in lines[1].split() if word not in ("kB", "B")] == [
        "F16",
        lines[1].split()[1],
        "32",
        "x",
        "256",
        format_name,
        "a.weight",
    ]
    [tensor] = json.loads(run_cli("inspect", "new.safetensors", "--json").stdout)["tensors"]
    assert tensor["format"]["name"] == format_name
    assert (tensor["dtype"], tensor["shape"]) == ("F16", [32, 256])
    assert tensor["bytes"] == report.layers[0].bytes_out


def test_json_has_names_and_metadata_as_they_are(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({HOSTILE: np.ones(3, np.int64)}, path, {HOSTILE: "v" * 1000})
    facts = json.loads(run_cli("inspect", path.name, "--json").stdout)
    assert facts == {
        "file": path.name,
        "files": [path.name],
        "bytes": path.stat().st_size,
        "tensors": [
            {
                "name": HOSTILE,
                "dtype": "I64",
                "shape": [3],
                "bytes": 24,
                "format": None,
                "file": path.name,
            }
        ],
        "metadata": {HOSTILE: "v" * 1000},
    }


def test_hostile_names_and_long_values_do_no_harm(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({HOSTILE: np.ones((), np.float32)}, path, {HOSTILE: HOSTILE + "v" * 1000})
    result = run_cli("inspect", path.name)
    assert result.returncode == 0
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert "a\\x1b[31m\\u202e\\nb: a\\x1b[31m\\u202e\\nb" in result.stdout
    assert f"({1000 + len(HOSTILE) - 200:,} more characters" in result.stdout
    assert "scalar" in result.stdout


def test_values_are_not_read(run_cli: RunCli, huge_model: Path) -> None:
    result = run_cli("inspect", huge_model.name)
    assert result.returncode == 0
    assert "4.29 GB" in result.stdout
    huge_model.unlink()


def test_shards_are_one_checkpoint(run_cli: RunCli, model: Path) -> None:
    report = qr.quantize_file(
        model, model.parent / "new.safetensors", "int8_rowwise", max_shard_size=8000
    )
    index = Path(report.files[-1]).name
    assert index.endswith(".index.json")
    shown = run_cli("inspect", index)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{len(report.files) - 1} files" in shown.stdout
    facts = json.loads(run_cli("inspect", index, "--json").stdout)
    assert {tensor["name"] for tensor in facts["tensors"]} == {each.name for each in report.layers}
    assert facts["bytes"] == sum(
        (model.parent / name).stat().st_size for name in map(Path, facts["files"])
    )


def test_the_config_is_an_object_for_config_json(run_cli: RunCli, model: Path) -> None:
    qr.quantize_file(model, model.parent / "new.safetensors", "int8")
    result = run_cli("inspect", "new.safetensors", "--config")
    assert (result.returncode, result.stderr) == (0, "")
    config = json.loads(result.stdout)
    assert config.keys() == {"quantization_config"}
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    refused = run_cli("inspect", model.name, "--config")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "quantization_config" in refused.stderr


def test_an_empty_checkpoint(run_cli: RunCli, write_model: WriteModel) -> None:
    result = run_cli("inspect", write_model({}).name)
    assert (result.returncode, result.stderr) == (0, "")
    assert "0 tensors" in result.stdout


@pytest.mark.parametrize(("kept_bytes", "code"), [(-1, 2), (7, 2), (None, 1)])
def test_exit_codes(run_cli: RunCli, model: Path, kept_bytes: int | None, code: int) -> None:
    if kept_bytes is None:
        model.unlink()
    else:
        model.write_bytes(model.read_bytes()[:kept_bytes])
    for options in ((), ("--json",)):
        result = run_cli("inspect", model.name, *options)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (code, "", 1)
        assert model.name in result.stderr
