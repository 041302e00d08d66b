# SPDX-License-Identifier: Apache-2.0
"""Help, `info`, the missing extra, and streams that go away."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import quarrow
from cli_process import COMMAND
from quarrow.isa_names import readable_isa

RunCli = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = [(), ("quantize",), ("dequantize",), ("inspect",), ("compare",), ("info",)]


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_fits_80_columns_and_goes_to_standard_output(
    run_cli: RunCli, arguments: tuple[str, ...], option: str
) -> None:
    result = run_cli(*arguments, option, environment={"COLUMNS": "80"})
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: quarrow" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_version(run_cli: RunCli) -> None:
    result = run_cli("--version")
    assert (result.returncode, result.stdout) == (0, f"quarrow {quarrow.__version__}\n")


def test_info_shows_every_format_and_the_instruction_set(run_cli: RunCli) -> None:
    result = run_cli("info")
    assert result.returncode == 0
    assert readable_isa(quarrow.info()["isa"]) in result.stdout
    for each in quarrow.formats():
        assert re.search(rf"^  {each.name} ", result.stdout, re.MULTILINE)


def test_info_as_json_is_the_info_of_the_python_interface(run_cli: RunCli) -> None:
    facts = json.loads(run_cli("info", "--json").stdout)
    formats = facts.pop("formats")
    assert facts == quarrow.info()
    assert list(formats) == [each.name for each in quarrow.formats()]


def test_info_reports_a_variable_that_cannot_be_honoured(run_cli: RunCli) -> None:
    result = run_cli("info", environment={"QUARROW_FORCE_ISA": "ABACUS"})
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "ABACUS" in result.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_extra_is_one_line_that_says_what_to_install(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from quarrow.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert missing in result.stderr
    assert 'pip install "quarrow[cli]"' in result.stderr


def test_the_installed_script_is_this_command() -> None:
    try:
        installed = metadata.distribution("quarrow")
    except metadata.PackageNotFoundError:
        pytest.skip("the package is on the path, but not installed")
    scripts = {entry.name: entry.value for entry in installed.entry_points}
    assert scripts["quarrow"] == "quarrow_command:main"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_the_command_quietly(unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stream:
        result = subprocess.run(
            [*COMMAND, "info"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (result.returncode, result.stderr) == (141, b"")


def test_completion_for_an_unknown_shell_is_no_broken_pipe() -> None:
    result = subprocess.run(
        [*COMMAND],
        env={**os.environ, "_QUARROW_COMPLETE": "source_nothing"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "not supported" in result.stdout + result.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_line(unbuffered: str) -> None:
    with open("/dev/full", "wb") as stream:  # noqa: PTH123
        result = subprocess.run(
            [*COMMAND, "info"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr == "quarrow: error: standard output: No space left on device\n"


def test_standard_output_may_be_closed(model: Path) -> None:
    script = 'exec "$@" >&-'
    arguments = (*COMMAND, "quantize", "model.safetensors", "out.safetensors")
    result = subprocess.run(
        ["sh", "-c", script, "sh", *arguments, "--format", "int8_rowwise"],
        cwd=model.parent,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert (model.parent / "out.safetensors").exists()
