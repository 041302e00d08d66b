# SPDX-License-Identifier: Apache-2.0
"""The demo, on a small slice of its models."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def run_demo(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the demo with a temporary folder of its own."""
    return subprocess.run(
        [sys.executable, DEMO, *arguments],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_quick_demo_shows_its_numbers_and_leaves_nothing(tmp_path: Path) -> None:
    result = run_demo(tmp_path, "--quick")
    assert (result.returncode, result.stderr) == (0, "")
    for words in (
        "$ quarrow quantize",
        "x the copy",
        "layers with the largest error",
        "one scale per tensor",
        "int8_rowwise",
        "no runtime loads",
    ):
        assert words in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert list(tmp_path.iterdir()) == []


def test_kept_files_are_quantized(tmp_path: Path) -> None:
    result = run_demo(tmp_path, "--quick", "--keep", tmp_path / "kept here")
    assert result.returncode == 0
    assert str(tmp_path / "kept here") in result.stdout
    for name in ("flux-int8", "lora-int8"):
        with safe_open(tmp_path / "kept here" / f"{name}.safetensors", "numpy") as file:
            dtypes = {str(file.get_slice(key).get_dtype()) for key in sorted(file.keys())}
        assert "I8" in dtypes
