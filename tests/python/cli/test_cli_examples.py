# SPDX-License-Identifier: Apache-2.0
"""Every example of every `--help` runs as it stands."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from quarrow.cli.app import app
from safetensors.numpy import save_file

RunCli = Callable[..., subprocess.CompletedProcess[str]]

# What the options of the examples look for.
NAMES = ("attn.q.weight", "attn.proj.weight", "ff.weight", "out.weight")


def examples_of(command: Callable[..., object]) -> list[str]:
    return re.findall(r"^ +(quarrow .+)$", command.__doc__ or "", re.MULTILINE)


COMMANDS = [each.callback for each in app.registered_commands if each.callback is not None]
EXAMPLES = [example for command in COMMANDS for example in examples_of(command)]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_as_they_are(run_cli: RunCli, command: Callable[..., object]) -> None:
    name = command.__name__
    shown = run_cli(name, "--help", environment={"COLUMNS": "80"}).stdout
    assert examples_of(command)
    for example in examples_of(command):
        assert example.startswith(f"quarrow {name} ")
        assert f" {example}\n" in shown


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs(run_cli: RunCli, tmp_path: Path, example: str) -> None:
    random = np.random.default_rng(0)
    weights = {name: random.standard_normal((64, 256)).astype(np.float16) for name in NAMES}
    save_file(weights, tmp_path / "model.safetensors")
    weights["ff.weight"] += np.float16(0.125)
    save_file(weights, tmp_path / "other.safetensors")
    if example.startswith("quarrow convert "):
        # A kind of file that asks for the model's architecture, and a checkpoint of several files.
        weights["double_blocks.0.img_attn.norm.key_norm.scale"] = np.ones(128, np.float16)
        save_file(weights, tmp_path / "model.safetensors")
        run_cli("convert", "model.safetensors", "model.gguf")
        run_cli("convert", "model.safetensors", "model", "--max-shard-size", "50KB")
        assert (tmp_path / "model.safetensors.index.json").exists()
        (tmp_path / example.split()[3]).unlink(missing_ok=True)
    elif not example.startswith("quarrow quantize "):
        for format_name, name in (("int8_rowwise", "int8"), ("int4", "int4")):
            run_cli("quantize", "model.safetensors", f"{name}.safetensors", "-f", format_name)
    result = run_cli(*shlex.split(example)[1:])
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout
