# SPDX-License-Identifier: Apache-2.0
"""What does nothing is an error and writes no file; what does a part of it ends with a warning."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

RunCli = Callable[..., CompletedProcess[str]]
WriteModel = Callable[[dict[str, Any]], Path]
WEIGHT = np.ones((64, 96), "f4")
GPTQ = {"g.qweight": np.ones((8, 64), "i4"), "g.scales": np.ones((1, 64), "f2")}


@pytest.mark.parametrize(
    ("tensors", "arguments", "words"),
    [
        ({"a.weight": WEIGHT}, ["dequantize"], "its only tensor is no part of a quantized layer"),
        (GPTQ, ["dequantize"], "1 layer (GPTQ or AWQ) cannot be restored yet"),
        (GPTQ, ["dequantize", "--dtype", "float16"], "cannot be restored yet"),
        (GPTQ, ["quantize", "-f", "int8"], "already quantized (GPTQ or AWQ)"),
        ({"a.weight": WEIGHT}, ["quantize", "-f", "int4"], "choose a group_size that divides"),
        ({"a.weight": WEIGHT}, ["quantize", "-f", "int8", "--exclude", "a"], "left by a rule"),
        ({}, ["quantize", "-f", "int8"], "it has no tensors"),
    ],
)
def test_nothing_done_is_an_error(
    run_cli: RunCli,
    write_model: WriteModel,
    tensors: dict[str, Any],
    arguments: list[str],
    words: str,
) -> None:
    path = write_model(tensors)
    command, *options = arguments
    for more in ([], ["--dry-run"], ["--force"]):
        result = run_cli(command, "model.safetensors", "out.safetensors", *options, *more)
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert words in result.stderr
        assert list(path.parent.iterdir()) == [path]


def test_a_part_is_done_with_a_warning(run_cli: RunCli, write_model: WriteModel) -> None:
    path = write_model(GPTQ | {"a.weight": WEIGHT, "b.weight": np.ones((64, 128), "f4")})
    result = run_cli("quantize", "model.safetensors", "out.safetensors", "-f", "int4")
    assert result.returncode == 0
    assert (
        "warning: 1 tensor stays as it is: the rows do not divide into whole groups"
        in result.stderr
    )
    assert "for GPTQ or AWQ and compressed-tensors, and nobody loads them all" in result.stderr
    result = run_cli("dequantize", "out.safetensors", "back.safetensors")
    assert result.returncode == 0
    assert "warning: not restored: 1 layer (GPTQ or AWQ)" in result.stderr
    assert (path.parent / "back.safetensors").exists()


def test_no_shard_of_an_index_is_replaced_unasked(run_cli: RunCli, write_model: WriteModel) -> None:
    path = write_model({"b.weight": np.ones((64, 128), "f4")})
    (path.parent / "new-00001-of-00001.safetensors").write_text("mine")
    result = run_cli("quantize", "model.safetensors", "new.safetensors.index.json", "-f", "int8")
    assert result.returncode == 1
    assert "'new-00001-of-00001.safetensors' exists" in result.stderr
