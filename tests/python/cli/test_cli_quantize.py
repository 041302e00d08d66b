# SPDX-License-Identifier: Apache-2.0
"""`quarrow quantize`: what it writes, what it says, and its exit codes."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import quarrow
from safetensors.numpy import load_file

RunCli = Callable[..., subprocess.CompletedProcess[str]]
WriteModel = Callable[[dict[str, npt.NDArray[np.generic]]], Path]

QUANTIZE = ("quantize", "model.safetensors", "out.safetensors")
INT8 = ("--format", "int8_rowwise")


def one_line(text: str) -> str:
    """Return the only line of `text`."""
    assert text.count("\n") == 1, text
    return text.rstrip("\n")


def test_writes_what_the_python_interface_writes(run_cli: RunCli, model: Path) -> None:
    result = run_cli(*QUANTIZE, *INT8)
    assert (result.returncode, result.stderr) == (0, "")
    quarrow.quantize_file(model, model.parent / "api.safetensors", "int8_rowwise")
    written = (model.parent / "out.safetensors").read_bytes()
    assert written == (model.parent / "api.safetensors").read_bytes()


def test_summary_states_sizes_and_what_became_of_each_tensor(run_cli: RunCli, model: Path) -> None:
    result = run_cli(*QUANTIZE, *INT8)
    before, after = model.stat().st_size, (model.parent / "out.safetensors").stat().st_size
    assert f"{before / 1000:.1f} kB -> {after / 1000:.1f} kB" in result.stdout
    assert "2 tensors to int8_rowwise" in result.stdout
    assert result.stdout.count("left alone") >= 1
    assert "SQNR" not in result.stdout


def test_error_option_shows_the_worst_layer_first(run_cli: RunCli, write_model: WriteModel) -> None:
    random = np.random.default_rng(1)
    good = random.uniform(-1, 1, (16, 256)).astype(np.float32)
    bad = good.copy()
    bad[:, 0] = 1000
    write_model({"a.weight": good, "b.weight": bad, "c.weight": good})
    result = run_cli(*QUANTIZE, *INT8, "--error")
    assert result.returncode == 0
    rows = [line for line in result.stdout.splitlines() if " dB " in line]
    assert [row.split()[-1] for row in rows] == ["b.weight", "a.weight", "c.weight"]


def test_json_is_all_that_standard_output_carries(run_cli: RunCli, model: Path) -> None:
    result = run_cli(*QUANTIZE, *INT8, "--json", "--error")
    report = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    by_name = {layer["name"]: layer for layer in report["layers"]}
    assert by_name.keys() == load_file(model).keys()
    assert by_name["block.q.weight"]["format"] == "int8_rowwise"
    assert by_name["block.q.bias"]["reason"]
    assert report["bytes_in"] == model.stat().st_size


def test_rules_are_tried_in_order_and_split_at_the_last_equals_sign(
    run_cli: RunCli, write_model: WriteModel
) -> None:
    weight = np.ones((32, 64), np.float32)
    write_model({"a=b.weight": weight, "c.weight": weight})
    result = run_cli(*QUANTIZE, *INT8, "--json", "--rule", "a=b=none", "--rule", "a=int8_rowwise")
    formats = {layer["name"]: layer["format"] for layer in json.loads(result.stdout)["layers"]}
    assert formats["a=b.weight"] != "int8_rowwise"
    assert formats["c.weight"] == "int8_rowwise"


def test_a_rule_that_matched_nothing_warns_in_one_line(run_cli: RunCli, model: Path) -> None:
    result = run_cli(*QUANTIZE, *INT8, "--json", "--rule", "absent=none")
    assert result.returncode == 0
    assert model.name in json.loads(result.stdout)["source"]
    line = one_line(result.stderr)
    assert line.startswith("quarrow: warning: ")
    assert "absent" in line
    sharded = run_cli(*QUANTIZE, *INT8, "--rule", "absent=none", "--max-shard-size", "6kB")
    assert sharded.returncode == 0
    assert one_line(sharded.stderr) == line


def test_existing_output_is_replaced_only_by_force(run_cli: RunCli, model: Path) -> None:
    out = model.parent / "out.safetensors"
    out.write_bytes(b"old")
    refused = run_cli(*QUANTIZE, *INT8)
    assert refused.returncode == 1
    assert "--force" in one_line(refused.stderr)
    assert out.read_bytes() == b"old"
    assert run_cli(*QUANTIZE, *INT8, "--force").returncode == 0
    assert "block.q.bias" in load_file(out)


def test_a_dangling_link_counts_as_existing_output(run_cli: RunCli, model: Path) -> None:
    (model.parent / "out.safetensors").symlink_to("nowhere")
    result = run_cli(*QUANTIZE, *INT8)
    assert result.returncode == 1
    assert "--force" in one_line(result.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*QUANTIZE,), "--format"),
        ((*QUANTIZE, *INT8, "--no-such-option"), "--no-such-option"),
        ((*QUANTIZE, "--format", "int8_rowwize"), "int8_rowwise"),
        ((*QUANTIZE, *INT8, "--threads", "0"), "--threads"),
        ((*QUANTIZE, *INT8, "--threads", "many"), "--threads"),
        ((*QUANTIZE, *INT8, "--nonfinite", "ignore"), "saturate"),
        ((*QUANTIZE, "--format", "int5"), "int8_rowwise"),
        ((*QUANTIZE, *INT8, "--rule", "norm"), "REGEX=FORMAT"),
        ((*QUANTIZE, *INT8, "--rule", "norm="), "REGEX=FORMAT"),
        ((*QUANTIZE, *INT8, "--rule", "(=none"), "regular expression"),
        ((*QUANTIZE, *INT8, "--rule", "weight=int9"), "int8"),
        (("quantize", "absent.safetensors", "out.safetensors", *INT8), "No such file"),
        (("quantize", "model.safetensors", "absent/out.safetensors", *INT8), "No such file"),
        (("quantize", "model.safetensors", "model.safetensors", *INT8), "model.safetensors"),
        (("quantize", "model.safetensors", ".", *INT8), "folder"),
        (("quantize", "model.safetensors", ".", *INT8, "--force"), "folder"),
        (("quantize", "model.safetensors", "absent/", *INT8), "folder"),
        (("quantize", "model.safetensors", "model.safetensors", *INT8, "--force"), "source"),
        (("quantise",), "quantise"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_1(
    run_cli: RunCli, model: Path, arguments: tuple[str, ...], words: str
) -> None:
    before = model.read_bytes()
    result = run_cli(*arguments)
    line = one_line(result.stderr)
    assert result.returncode == 1
    assert result.stdout == ""
    assert line.startswith("quarrow: error: ")
    assert words in line
    assert [path.name for path in model.parent.iterdir()] == ["model.safetensors"]
    assert model.read_bytes() == before


def test_non_finite_input_names_the_layer_and_saturates_on_demand(
    run_cli: RunCli, write_model: WriteModel
) -> None:
    weight = np.ones((16, 64), np.float32)
    weight[3, 5] = np.nan
    write_model({"bad.weight": weight})
    result = run_cli(*QUANTIZE, *INT8)
    assert result.returncode == 1
    assert "bad.weight" in one_line(result.stderr)
    assert run_cli(*QUANTIZE, *INT8, "--nonfinite", "saturate").returncode == 0


@pytest.mark.parametrize("kept_bytes", [0, 7, 40, -1])
def test_damaged_file_is_exit_code_2(run_cli: RunCli, model: Path, kept_bytes: int) -> None:
    model.write_bytes(model.read_bytes()[:kept_bytes])
    result = run_cli(*QUANTIZE, *INT8)
    assert result.returncode == 2
    assert "model.safetensors" in one_line(result.stderr)
    assert not (model.parent / "out.safetensors").exists()


@pytest.mark.parametrize(
    "name", ["with space", "Gewicht \u91cd\u307f \U0001f642", "line\nbreak", "-dash", "[red]x"]
)
def test_any_path_works_and_is_shown_harmlessly(run_cli: RunCli, model: Path, name: str) -> None:
    source = model.rename(model.parent / f"{name}.safetensors")
    paths = (source, model.parent / f"{name} out.safetensors")
    assert run_cli("quantize", *INT8, "--", *paths).returncode == 0
    line = one_line(run_cli("quantize", *INT8, "--", *paths).stderr)
    assert str(paths[1]).replace("\n", "\\n") in line


def test_a_path_that_is_not_utf8_works(run_cli: RunCli, model: Path) -> None:
    source = model.rename(model.parent / "caf\udce9.safetensors")
    destination = Path(model.parent) / "out\udcff.safetensors"
    assert run_cli("quantize", source, destination, *INT8).returncode == 0
    result = run_cli("quantize", source, destination, *INT8)
    assert "out\\udcff" in one_line(result.stderr)


HOSTILE = "a\x1b[31m\u202e[bold red]:smile:\r\nb\x9b\x07.weight"
ESCAPED = "a\\x1b[31m\\u202e[bold red]:smile:\\r\\nb\\x9b\\x07.weight"


def test_hostile_names_are_escaped_in_the_summary(run_cli: RunCli, write_model: WriteModel) -> None:
    write_model({HOSTILE: np.ones((32, 64), np.float32)})
    result = run_cli(*QUANTIZE, *INT8, "--error")
    assert result.returncode == 0
    assert ESCAPED in result.stdout
    assert "\x1b" not in result.stdout


def test_hostile_names_are_escaped_in_errors(run_cli: RunCli, write_model: WriteModel) -> None:
    write_model({HOSTILE: np.full((32, 64), np.nan, np.float32)})
    result = run_cli(*QUANTIZE, *INT8)
    line = one_line(result.stderr)
    assert result.returncode == 1
    assert ESCAPED in line
    assert line.isprintable()


def test_names_outside_the_encoding_of_the_output_are_escaped(
    run_cli: RunCli, write_model: WriteModel
) -> None:
    write_model({"\u91cd\u307f.weight": np.ones((32, 64), np.float32)})
    result = run_cli(*QUANTIZE, *INT8, "--error", environment={"PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")
    assert "\\u91cd\\u307f.weight" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "hinted"),
    [
        (["-f", "int4"], True),
        (["-f", "int8"], True),
        (["-f", "int4", "--symmetric"], False),
        (["-f", "int8_rowwise"], False),
        (["-f", "int8_rowwise", "--rule", "a=int4"], True),
        (["-f", "int4", "--symmetric", "--rule", "a=int2"], True),
        (["-f", "int4", "--dry-run"], True),
    ],
)
def test_what_transformers_loads_is_said(
    arguments: list[str],
    hinted: bool,  # noqa: FBT001
    run_cli: RunCli,
    write_model: WriteModel,
) -> None:
    path = write_model({f"{name}.weight": np.ones((64, 128), "f") for name in "ab"})
    result = run_cli("quantize", path, "out.safetensors", *arguments)
    hint = "hint        transformers loads such layers only when quantized with --symmetric\n"
    assert (hint in result.stdout) == hinted
    assert result.returncode == 0


def test_rows_that_no_group_divides_are_told_with_the_remedy(
    run_cli: RunCli, write_model: WriteModel
) -> None:
    path = write_model({f"{cols}.weight": np.ones((64, cols), "f") for cols in (128, 100)})
    result = run_cli("quantize", path, "out.safetensors", "-f", "int4")
    assert "choose a group_size that divides their length, or 'row'" in result.stdout
