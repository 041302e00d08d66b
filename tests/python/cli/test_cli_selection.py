# SPDX-License-Identifier: Apache-2.0
"""`--include`, `--exclude`, `--rule` together, and `--dry-run`."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

RunCli = Callable[..., subprocess.CompletedProcess[str]]
WriteModel = Callable[[dict[str, npt.NDArray[np.generic]]], Path]

QUANTIZE = ("quantize", "model.safetensors", "out.safetensors", "-f", "int8_rowwise")
NAMES = ("attn.k.weight", "attn.q.weight", "ff.weight", "mlp.weight")


@pytest.fixture
def layers(write_model: WriteModel) -> Path:
    """Return a file of four linear layers, and an embedding that the defaults leave."""
    return write_model({name: np.ones((32, 64), np.float32) for name in (*NAMES, "embed.weight")})


@pytest.mark.parametrize(
    ("options", "quantized"),
    [
        ((), set(NAMES)),
        (("--include", "attn"), {"attn.k.weight", "attn.q.weight"}),
        (("--include", "q", "--include", "^ff"), {"attn.q.weight", "ff.weight"}),
        (("--exclude", "attn"), {"mlp.weight", "ff.weight"}),
        (("--exclude", "k", "--exclude", "mlp"), {"attn.q.weight", "ff.weight"}),
        (("--include", "attn", "--exclude", "k"), {"attn.q.weight"}),
        (("--exclude", "ff", "--rule", "ff=int8_rowwise"), set(NAMES) - {"ff.weight"}),
        (("--include", "attn", "--rule", "q=none"), {"attn.k.weight"}),
        (("--include", "q", "--rule", "ff=int8_rowwise"), {"attn.q.weight", "ff.weight"}),
        (("--include", "embed"), {"embed.weight"}),
        (("--rule", "embed=int8_rowwise"), {*NAMES, "embed.weight"}),
    ],
)
def test_what_is_quantized(
    run_cli: RunCli, layers: Path, options: tuple[str, ...], quantized: set[str]
) -> None:
    result = run_cli(*QUANTIZE, *options, "--json")
    assert result.returncode == 0
    report = json.loads(result.stdout)
    assert {
        layer["name"] for layer in report["layers"] if layer["action"] == "quantized"
    } == quantized
    assert report["destination"] == "out.safetensors"
    assert layers.exists()


def test_the_reason_says_which_option_left_a_layer(run_cli: RunCli, layers: Path) -> None:
    result = run_cli(*QUANTIZE, "--json", "--include", "attn", "--exclude", r"\.k\.")
    reasons = {layer["name"]: layer["reason"] for layer in json.loads(result.stdout)["layers"]}
    assert reasons == {
        "attn.k.weight": r"left by the rule '\\.k\\.'",
        "attn.q.weight": None,
        "embed.weight": "no other rule finds its name",
        "ff.weight": "no other rule finds its name",
        "mlp.weight": "no other rule finds its name",
    }
    assert layers.exists()


def test_options_that_found_nothing_warn_each_in_one_line(run_cli: RunCli, layers: Path) -> None:
    options = ("--include", "weight", "--include", "absent", "--exclude", "nowhere")
    result = run_cli(*QUANTIZE, *options)
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "quarrow: warning: the rule 'nowhere' decided on no tensor",
        "quarrow: warning: the rule 'absent' decided on no tensor",
    ]
    assert layers.exists()


@pytest.mark.parametrize("option", ["--include", "--exclude"])
@pytest.mark.parametrize(("text", "words"), [("", "empty"), ("(", "regular expression")])
def test_a_wrong_expression_is_one_line(
    run_cli: RunCli, layers: Path, option: str, text: str, words: str
) -> None:
    result = run_cli(*QUANTIZE, option, text)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert words in result.stderr
    assert list(layers.parent.iterdir()) == [layers]


# ---- --dry-run


@pytest.mark.parametrize("options", [(), ("--exclude", "attn"), ("--rule", "ff=none")])
def test_the_plan_has_the_sizes_of_the_job(
    run_cli: RunCli, layers: Path, options: tuple[str, ...]
) -> None:
    planned = json.loads(run_cli(*QUANTIZE, *options, "--json", "--dry-run").stdout)
    assert list(layers.parent.iterdir()) == [layers]
    done = json.loads(run_cli(*QUANTIZE, *options, "--json").stdout)
    assert (planned.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert planned.pop("seconds") >= 0
    assert done.pop("seconds") >= 0
    assert planned == done
    assert done["bytes_out"] == (layers.parent / "out.safetensors").stat().st_size


def test_the_plan_lists_every_tensor(run_cli: RunCli, layers: Path) -> None:
    result = run_cli(*QUANTIZE, "--dry-run", "--exclude", "ff")
    assert (result.returncode, result.stderr) == (0, "")
    assert "nothing was written" in result.stdout
    rows = [line.split() for line in result.stdout.partition("\n\n")[0].splitlines()[1:]]
    assert [row[-2:] for row in rows] == [
        ["int8_rowwise", "attn.k.weight"],
        ["int8_rowwise", "attn.q.weight"],
        ["-", "embed.weight"],
        ["-", "ff.weight"],
        ["int8_rowwise", "mlp.weight"],
    ]
    assert list(layers.parent.iterdir()) == [layers]


def test_the_plan_reads_the_header_alone(run_cli: RunCli, huge_model: Path) -> None:
    result = run_cli("quantize", huge_model.name, "out", "-f", "int8_rowwise", "--dry-run")
    assert result.returncode == 0
    assert "4.29 GB -> 1.07 GB" in result.stdout
    assert list(huge_model.parent.iterdir()) == [huge_model]
    huge_model.unlink()


def test_a_plan_leaves_an_existing_file_alone(run_cli: RunCli, layers: Path) -> None:
    out = layers.parent / "out.safetensors"
    out.write_bytes(b"old")
    assert run_cli(*QUANTIZE, "--dry-run").returncode == 0
    assert run_cli(*QUANTIZE, "--dry-run", "--force").returncode == 0
    assert out.read_bytes() == b"old"


def test_a_plan_has_no_errors_to_measure(run_cli: RunCli, layers: Path) -> None:
    result = run_cli(*QUANTIZE, "--dry-run", "--error")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "--error" in result.stderr
    assert list(layers.parent.iterdir()) == [layers]


def test_a_damaged_file_is_exit_code_2_in_a_plan_too(run_cli: RunCli, layers: Path) -> None:
    layers.write_bytes(layers.read_bytes()[:-1])
    assert run_cli(*QUANTIZE, "--dry-run").returncode == 2
