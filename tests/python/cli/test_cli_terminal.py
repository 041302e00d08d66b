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
from quarrow.cli.progress import pace_text

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
SHOW_A_PACE = """
import time
from quarrow.cli.progress import file_progress

with file_progress() as show:
    time.sleep(0.7)
    show(1_000_000_000, 4_000_000_000, "layer")
    time.sleep(0.5)
"""


def test_the_bar_has_one_speed_and_the_time_left(tmp_path: Path) -> None:
    code, text = run_on_terminal(tmp_path, command=(sys.executable, "-c", SHOW_A_PACE), columns=120)
    assert code == 0
    lines = [line for line in re.split(r"[\r\n]+", CONTROL.sub("", text)) if " left" in line]
    assert any("layer" in line for line in lines)
    for line in lines:
        assert line.count("/s") == 1
        assert re.search(r" 1\.0/4\.0 GB +(\d\.\d\d GB|\d{3} MB)/s, 0:0\d left ", line)


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (0, 100, 9.0, ""),
        (10, 100, 0.1, ""),
        (10_000_000, 100_000_000, 1.0, "10.0 MB/s, 0:09 left"),
        (10_000_000, 800_000_000, 1.0, "10.0 MB/s, 1:19 left"),
        (1_000, 10_000_000, 1.0, "1.00 kB/s, 2:46:39 left"),
        (100, 100, 2.0, "50 B/s, 0:00 left"),
    ],
)
def test_a_pace_is_that_of_the_whole_job(done: int, total: int, seconds: float, text: str) -> None:
    assert pace_text(done, total, seconds) == text


def test_the_bar_goes_and_the_summary_stays(model: Path) -> None:
    code, text = run_on_terminal(model.parent, *QUANTIZE)
    assert code == 0
    # Up to the summary the line was erased last.
    assert text.rindex("\x1b[2K") > text.rindex("100%")
    assert text.rindex("\x1b[2K") < text.index("size ")


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
