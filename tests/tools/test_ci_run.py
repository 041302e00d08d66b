# SPDX-License-Identifier: Apache-2.0
""".ci/run names its stages and takes their names; nothing runs here."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def ci_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci" / "run", *arguments], capture_output=True, text=True, check=False
    )


def test_the_stages_are_listed_with_what_they_are() -> None:
    result = ci_run("--list")
    assert (result.returncode, result.stderr) == (0, "")
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert {"test", "lint", "asan", "tsan"} <= set(names)
    assert len(names) == len(set(names))
    by_full_alone = {
        line.split()[0] for line in result.stdout.splitlines() if line.endswith("(--full)")
    }
    assert "tsan" in by_full_alone
    assert "test" not in by_full_alone


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--full", "tsan", "nope"], "there is no stage 'nope'; the stages are: test format"),
        (["--fast"], "unknown option '--fast'"),
    ],
)
def test_what_is_no_stage_is_wrong_use(arguments: list[str], words: str) -> None:
    result = ci_run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert "usage: .ci/run [--full] [--list] [STAGE...]" in result.stderr
