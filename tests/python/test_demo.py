# SPDX-License-Identifier: Apache-2.0
"""The demo, on a small slice of its models."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def run_demo(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the demo in a folder."""
    return subprocess.run(
        [sys.executable, DEMO, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_quick_demo_shows_its_numbers_and_leaves_its_small_files(tmp_path: Path) -> None:
    result = run_demo(tmp_path, "--quick")
    assert (result.returncode, result.stderr) == (0, "")
    for words in (
        "x the copy",
        "layers with the largest error",
        "one scale per tensor",
        "int8_rowwise",
        "no runtime loads",
        "In demo-out:\n  flux-blocks.safetensors ",
        "\n  flux-int8.html ",
    ):
        assert words in result.stdout
    said = [line for line in result.stdout.splitlines() if not line.startswith("$ ")]
    assert max(map(len, said)) <= 100
    out = tmp_path / "demo-out"
    assert [path.name for path in tmp_path.iterdir()] == ["demo-out"]
    for name in ("flux-int8", "lora-int8"):
        with safe_open(out / f"{name}.safetensors", "numpy") as file:
            dtypes = {str(file.get_slice(key).get_dtype()) for key in sorted(file.keys())}
        assert "I8" in dtypes

    # What it printed can be repeated, also when its files are there.
    commands = re.findall(r"^\$ (.+)$", result.stdout, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    for path in out.iterdir():
        path.unlink()
    for command in commands:
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    assert len(list(out.iterdir())) == 5


def test_large_files_do_not_stay(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("demo", DEMO)
    assert specification is not None
    assert specification.loader is not None
    demo = importlib.util.module_from_spec(specification)
    sys.modules["demo"] = demo
    try:
        specification.loader.exec_module(demo)
    finally:
        del sys.modules["demo"]
    large, small, other = (tmp_path / f"{name}.safetensors" for name in ("copy", "lora", "mine"))
    for path, size in ((large, 2 * demo.SMALL_BYTES), (small, 10), (other, 2 * demo.SMALL_BYTES)):
        with path.open("wb") as file:
            file.truncate(size)
    demo.remove_large_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {small.name, other.name}


def test_the_input_of_readme_can_be_had_alone(tmp_path: Path) -> None:
    result = run_demo(tmp_path, "--only-input", "--out", "a folder")
    assert (result.returncode, result.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "a folder").iterdir()] == ["flux.safetensors"]
    assert "cd 'a folder'" in result.stdout
