# SPDX-License-Identifier: Apache-2.0
"""`quarrow compare`: the figures, what cannot be compared, and exit codes."""

import json
import math
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
import quarrow as qr
from safetensors.numpy import save_file

RunCli = Callable[..., subprocess.CompletedProcess[str]]
Tensors = Mapping[str, npt.NDArray[np.generic]]
Compare = Callable[..., tuple[int, dict[str, Any]]]

FIGURES = ("max_abs", "rmse", "sqnr_db", "cosine")


@pytest.fixture
def compare(run_cli: RunCli, tmp_path: Path) -> Compare:
    """Write two files, compare them, and return exit code and facts."""

    def run(original: Tensors, other: Tensors) -> tuple[int, dict[str, Any]]:
        save_file(dict(original), tmp_path / "a.safetensors")
        save_file(dict(other), tmp_path / "b.safetensors")
        result = run_cli("compare", "a.safetensors", "b.safetensors", "--json")
        assert result.stderr.count("\n") == (result.returncode != 0)
        return result.returncode, json.loads(result.stdout)

    return run


@pytest.mark.parametrize("format_name", ["int8_rowwise", "int4", "int2"])
def test_a_quantized_file_has_the_errors_that_its_report_has(
    run_cli: RunCli, tmp_path: Path, format_name: str
) -> None:
    random = np.random.default_rng(0)
    # More than a piece of a tensor is read at once, and a convolution, which is flattened.
    tensors: dict[str, npt.NDArray[np.generic]] = {
        "big.weight": random.standard_normal((700, 512)).astype(np.float16),
        "conv.weight": random.standard_normal((32, 16, 4, 4)).astype(np.float32),
        "norm.weight": np.ones(2000, np.float32),
    }
    save_file(tensors, tmp_path / "a.safetensors")
    report = qr.quantize_file(
        tmp_path / "a.safetensors", tmp_path / "b.safetensors", format_name, measure_error=True
    )
    result = run_cli("compare", "a.safetensors", "b.safetensors", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    facts = json.loads(result.stdout)
    measured = {layer.name: layer.error for layer in report.layers if layer.error is not None}
    assert {each["name"] for each in facts["different"]} == measured.keys()
    for each in facts["different"]:
        expected = measured[each["name"]]
        assert [each[key] for key in FIGURES] == pytest.approx(
            [expected[key] for key in FIGURES], rel=1e-9
        )
    assert set(facts["equal"]) == tensors.keys() - measured.keys()


def test_equal_values_of_other_types_are_equal(compare: Compare) -> None:
    values = np.arange(-8, 8, dtype=np.float32).reshape(4, 4)
    special = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    empty = np.zeros((0, 3), np.float32)
    original = {"bf": values, "f": special, "e": empty, "i": np.arange(5), "s": values[0, 0]}
    other = {
        "bf": values.astype(ml_dtypes.bfloat16),
        "f": special.astype(np.float16),
        "e": empty,
        "i": np.arange(5),
        "s": values[0, 0].astype(np.float64),
    }
    code, facts = compare(
        {name: np.asarray(value) for name, value in original.items()},
        {name: np.asarray(value) for name, value in other.items()},
    )
    assert code == 0
    assert sorted(facts["equal"]) == sorted(original)
    assert facts["different"] == facts["not_compared"] == []


def test_the_figures_are_those_of_plain_arithmetic(compare: Compare) -> None:
    random = np.random.default_rng(0)
    # Of more elements than are read at once.
    a, b = random.standard_normal((2, 300, 3001)).astype(np.float32)
    code, facts = compare({"a": a}, {"a": b})
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    error = b - a
    assert code == 0
    [found] = facts["different"]
    assert [found[key] for key in FIGURES] == pytest.approx(
        [
            np.abs(error).max(),
            math.sqrt(np.mean(error**2)),
            10 * math.log10((a @ a) / (error @ error)),
            (a @ b) / math.sqrt((a @ a) * (b @ b)),
        ],
        rel=1e-9,
    )


@pytest.mark.parametrize(
    ("original", "other", "figures"),
    [
        ([0, 0], [0, 2], [2, math.sqrt(2), None, 0]),
        ([3, 4], [0, 0], [4, 5 / math.sqrt(2), 0, 0]),
        ([1, np.nan], [1, 2], [None, None, None, 1]),
        ([1, np.inf], [1, -np.inf], [None, None, None, 1]),
        ([np.inf, 4], [np.inf, 2], [2, 2, 10 * math.log10(4), 1]),
    ],
)
def test_figures_of_zeros_and_of_what_is_not_finite(
    compare: Compare, original: list[float], other: list[float], figures: list[float | None]
) -> None:
    _, facts = compare({"a": np.array(original, np.float32)}, {"a": np.array(other, np.float32)})
    [found] = facts["different"]
    assert [found[key] for key in FIGURES] == pytest.approx(figures)


def test_the_worst_stand_first(run_cli: RunCli, tmp_path: Path) -> None:
    ones = np.ones(64, np.float32)
    factors = {"fair": 1.1, "worst": -1.0, "good": 1.001, "equal": 1.0}
    save_file(dict.fromkeys([*factors, "zeros"], ones), tmp_path / "b.safetensors")
    others = {name: ones * np.float32(factor) for name, factor in factors.items()}
    save_file({**others, "zeros": 0 * ones}, tmp_path / "a.safetensors")
    result = run_cli("compare", "a.safetensors", "b.safetensors")
    assert (result.returncode, result.stderr) == (0, "")
    rows, counts = result.stdout.split("\n\n")
    assert [row.split()[-1] for row in rows.splitlines()[1:]] == ["zeros", "worst", "fair", "good"]
    assert [line.split()[-1] for line in counts.splitlines()] == ["1", "4", "0"]


def test_what_cannot_be_compared_is_named_with_its_reason(compare: Compare) -> None:
    weight = np.ones((4, 4), np.float32)
    code, facts = compare(
        {
            "absent": weight,
            "cut": weight,
            "kind": weight,
            "number": np.arange(4),
            "width": np.arange(4),
        },
        {
            "new\x1b": weight,
            "cut": weight[:2],
            "kind": weight.astype(np.int32),
            "number": np.arange(1, 5),
            "width": np.arange(4, dtype=np.int32),
        },
    )
    assert code == 1
    assert {each["name"]: each["reason"] for each in facts["not_compared"]} == {
        "absent": "only in A",
        "cut": "shapes 4 x 4 and 2 x 4",
        "kind": "types F32 and I32",
        "number": "different I64 values",
        "width": "types I64 and I32",
        "new\x1b": "only in B",
    }


def test_hostile_names_are_escaped(run_cli: RunCli, tmp_path: Path) -> None:
    save_file({"a\x1b": np.ones(3, np.float32)}, tmp_path / "a.safetensors")
    save_file({"b\n\u202e": np.ones(3, np.float32)}, tmp_path / "b.safetensors")
    result = run_cli("compare", "a.safetensors", "b.safetensors")
    assert result.returncode == 1
    assert result.stderr == "quarrow: error: 2 tensors could not be compared\n"
    assert "a\\x1b: only in A" in result.stdout
    assert "b\\n\\u202e: only in B" in result.stdout


@pytest.mark.parametrize("damaged", ["a.safetensors", "b.safetensors"])
def test_a_damaged_file_is_exit_code_2(run_cli: RunCli, tmp_path: Path, damaged: str) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"a": np.ones(3, np.float32)}, tmp_path / name)
    path = tmp_path / damaged
    path.write_bytes(path.read_bytes()[:-1])
    result = run_cli("compare", "a.safetensors", "b.safetensors")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert damaged in result.stderr
