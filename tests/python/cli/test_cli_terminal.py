# SPDX-License-Identifier: Apache-2.0
"""The progress bar, on a real (pseudo) terminal."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cli_process import run_on_terminal

RunCli = Callable[..., subprocess.CompletedProcess[str]]
WriteModel = Callable[[dict[str, npt.NDArray[np.generic]]], Path]

QUANTIZE = ("quantize", "model.safetensors", "out.safetensors", "-f", "int8_rowwise")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_bar_stays_on_one_line_and_gives_the_cursor_back(model: Path, columns: int) -> None:
    code, text = run_on_terminal(model.parent, *QUANTIZE, columns=columns)
    assert code == 0
    assert "100%" in text
    assert text.rindex(HIDE_CURSOR) < text.rindex(SHOW_CURSOR)
    bar = CONTROL.sub("", text[: text.rindex(SHOW_CURSOR)])
    assert max(len(line) for line in re.split(r"[\r\n]+", bar)) <= columns


def test_a_failed_job_gives_the_cursor_back(write_model: WriteModel, tmp_path: Path) -> None:
    write_model({"a.weight": np.full((64, 64), np.nan, np.float32)})
    code, text = run_on_terminal(tmp_path, *QUANTIZE)
    assert code == 1
    assert text.rindex(HIDE_CURSOR) < text.rindex(SHOW_CURSOR) < text.index("quarrow: error: ")


def test_a_terminal_that_cannot_redraw_gets_no_bar(model: Path) -> None:
    code, text = run_on_terminal(model.parent, *QUANTIZE, environment={"TERM": "dumb"})
    assert code == 0
    assert "%" in text
    assert "\x1b" not in text
    assert "100%" not in text


def test_no_color_is_honoured(model: Path) -> None:
    code, text = run_on_terminal(model.parent, *QUANTIZE, environment={"NO_COLOR": "1"})
    assert code == 0
    assert "100%" in text
    assert not re.search(r"\x1b\[[0-9;]*[1-9][0-9;]*m", text)


# The name stays until the bar has been redrawn, which a small job would not wait for.
SHOW_A_NAME = """
import sys, time
from quarrow.cli.progress import file_progress

with file_progress() as show:
    show(1, 2, sys.argv[1])
    time.sleep(0.5)
"""


def test_names_in_the_bar_are_shown_literally(tmp_path: Path) -> None:
    code, text = run_on_terminal(
        tmp_path,
        "\x1b]0;owned\x07[red]:smile:\u202e\nx",
        command=(sys.executable, "-c", SHOW_A_NAME),
        columns=160,
    )
    assert code == 0
    assert "\\x1b]0;owned\\x07[red]:smile:\\u202e\\nx" in text


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_pipe_gets_no_bar_whatever_the_environment(
    run_cli: RunCli, model: Path, variable: str
) -> None:
    result = run_cli(*QUANTIZE, environment={variable: "1"})
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
