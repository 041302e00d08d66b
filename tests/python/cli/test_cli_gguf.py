# SPDX-License-Identifier: Apache-2.0
"""The commands with GGUF files."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import gguf_bytes as raw
import gguf_oracle
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

RunCli = Callable[..., subprocess.CompletedProcess[str]]

WEIGHT = np.random.default_rng(1).normal(size=(64, 96)).astype(np.float16)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return gguf_oracle.write(
        tmp_path / "model.gguf",
        {"a.weight": WEIGHT, "q.weight": ("Q4_K", (6, 512))},
        a_list=[1, 2],
        a_bool=("add_bool", True),
    )


def test_inspect_lists_blocks_and_values(run_cli: RunCli, model: Path) -> None:
    result = run_cli("inspect", model.name)
    assert (result.returncode, result.stderr) == (0, "")
    tensors, totals, metadata = (part.splitlines() for part in result.stdout.split("\n\n"))
    assert [line.split()[0] for line in tensors[1:]] == ["F16", "Q4_K"]
    assert "6 x 512" in tensors[2]
    assert totals[1].split() == ["Q4_K", "1.73", "kB", "1", "tensor"]
    assert metadata[1:] == ["  general.architecture: flux", "  a.list: [1, 2]", "  a.bool: true"]


def test_json_has_values_that_json_can_hold(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    keys = [
        raw.key("nan", raw.F32, float("nan")),
        raw.key("list", raw.LIST, raw.items(raw.F64, [float("inf"), 0.5])),
        raw.key("odd", raw.TEXT, b"\xff\x1b"),
    ]
    path.write_bytes(raw.gguf(keys, [raw.tensor("a", [32, 2], 8, 0)], bytes(68)))
    facts = json.loads(run_cli("inspect", path.name, "--json").stdout, parse_constant=pytest.fail)
    assert facts["metadata"] == {"nan": None, "list": [None, 0.5], "odd": "\\xff\x1b"}
    assert facts["tensors"] == [
        {
            "name": "a",
            "dtype": "Q8_0",
            "shape": [2, 32],
            "bytes": 68,
            "format": None,
            "file": path.name,
        }
    ]


def test_a_gguf_of_floats_is_quantized(run_cli: RunCli, tmp_path: Path) -> None:
    gguf_oracle.write(tmp_path / "floats.gguf", {"a.weight": WEIGHT})
    result = run_cli("quantize", "floats.gguf", "out.safetensors", "-f", "int8_rowwise")
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(load_file(tmp_path / "out.safetensors")) == [
        "a.comfy_quant",
        "a.weight",
        "a.weight_scale",
    ]
    compared = run_cli("compare", "floats.gguf", "out.safetensors")
    assert compared.returncode == 0
    assert "a.weight" in compared.stdout


def test_what_cannot_be_written_is_an_error_in_a_line(
    run_cli: RunCli, model: Path, tmp_path: Path
) -> None:
    save_file({"a.weight": WEIGHT}, tmp_path / "floats.safetensors")
    for source, out, words in (
        (model.name, "out.safetensors", "safetensors files have no type Q4_K"),
        (
            "floats.safetensors",
            "out.gguf",
            "'int8_rowwise' lies in .safetensors files; gguf files can carry: q8_0",
        ),
    ):
        result = run_cli("quantize", source, out, "-f", "int8_rowwise")
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert words in result.stderr
        assert not (tmp_path / out).exists()
