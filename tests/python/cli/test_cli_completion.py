# SPDX-License-Identifier: Apache-2.0
"""What the shells are told when a user presses Tab."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import quarrow

RunCli = Callable[..., subprocess.CompletedProcess[str]]


def complete(run_cli: RunCli, shell: str, line: str) -> str:
    """Return what completion writes for a cursor at the end of a line."""
    words = line.split(" ")
    result = run_cli(
        environment={
            "_QUARROW_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
    )
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_formats_are_completed(run_cli: RunCli, shell: str) -> None:
    text = complete(run_cli, shell, "quarrow quantize a b --format int")
    expected = [each.name for each in quarrow.formats() if each.name.startswith("int")]
    assert expected
    assert re.findall(r"\bint\d\w*", text.replace("\t", "\n"))[0] == expected[0]
    assert all(name in text for name in expected)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_rules_are_completed(run_cli: RunCli, shell: str) -> None:
    assert "to_q=int4" in complete(run_cli, shell, "quarrow quantize a b -f int8 --rule to_q=int")
    assert "a=b=none" in complete(run_cli, shell, "quarrow quantize a b -f int8 --rule a=b=n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_shown(run_cli: RunCli, shell: str) -> None:
    environment = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    result = run_cli("--show-completion", shell, environment=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"_QUARROW_COMPLETE=complete_{shell}" in result.stdout


def test_completion_is_installed_for_the_shell_alone(run_cli: RunCli, tmp_path: Path) -> None:
    environment = {
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        "HOME": str(tmp_path),
        "PATH": os.defpath,
    }
    result = run_cli("--install-completion", "fish", environment=environment)
    assert (result.returncode, result.stderr) == (0, "")
    script = tmp_path / ".config" / "fish" / "completions" / "quarrow.fish"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [script]
