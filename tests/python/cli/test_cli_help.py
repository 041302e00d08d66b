# SPDX-License-Identifier: Apache-2.0
"""The first things that somebody types: nothing, --help, --version."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import quarrow
from cli_process import run_on_terminal
from quarrow.cli.app import app

RunCli = Callable[..., subprocess.CompletedProcess[str]]

CONTROL = re.compile(r"\x1b\[[0-9;]*m")
COMMANDS = [each.callback.__name__ for each in app.registered_commands if each.callback is not None]
PAGES = [(), ("--help",), *((name, "--help") for name in COMMANDS)]


@pytest.mark.parametrize("module", ["quarrow", "quarrow.cli"])
def test_the_package_is_the_command_too(tmp_path: Path, module: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", module, "-V"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"quarrow {quarrow.__version__}\n"


def test_the_short_and_the_long_option_say_the_version(run_cli: RunCli) -> None:
    assert run_cli("-V").stdout == run_cli("--version").stdout == f"quarrow {quarrow.__version__}\n"


def test_without_arguments_it_shows_its_help(run_cli: RunCli) -> None:
    bare, asked = run_cli(), run_cli("--help")
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == asked.stdout == run_cli("-h").stdout
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", bare.stdout, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_terminal_and_a_pipe_has_no_colour(
    run_cli: RunCli, page: tuple[str, ...]
) -> None:
    for environment in ({"COLUMNS": "80"}, {"COLUMNS": "80", "FORCE_COLOR": "1"}):
        result = run_cli(*page, environment=environment)
        assert (result.returncode, result.stderr) == (0, "")
        assert "\x1b" not in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80
        assert "..." not in re.sub(r"\[ARGS\]\.\.\.", "", result.stdout)


@pytest.mark.parametrize("page", PAGES)
def test_a_terminal_shows_the_same_with_colour(run_cli: RunCli, page: tuple[str, ...]) -> None:
    code, text = run_on_terminal(Path(), *page)
    assert code == 0
    assert len(CONTROL.findall(text)) > 4
    plain = run_cli(*page, environment={"COLUMNS": "80"}).stdout
    assert CONTROL.sub("", text).replace("\r\n", "\n") == plain


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(environment: dict[str, str]) -> None:
    code, text = run_on_terminal(Path(), "quantize", "--help", environment=environment)
    assert code == 0
    assert "\x1b" not in text
    assert "--group-size" in text


def test_options_stand_in_groups(run_cli: RunCli) -> None:
    page = run_cli("quantize", "--help").stdout
    groups = dict(re.findall(r"^(\w[\w ]+):\n((?:  .*\n|\n(?=  ))*)", page, re.MULTILINE))
    for group, options in (
        (
            "Format",
            [
                *("--format", "--group-size", "--symmetric", "--scale-dtype", "--rounding"),
                *("--seed", "--scaled"),
            ],
        ),
        ("Which layers", ["--include", "--exclude", "--rule", "--runtime"]),
        ("Values", ["--dtype", "--nonfinite", "--on-error"]),
        ("What is shown", ["--error", "--report", "--json"]),
        ("Output files", ["--dry-run", "--force", "--max-shard-size", "--sync"]),
        ("Speed", ["--threads", "--io"]),
        ("Other options", ["--help"]),
    ):
        found = re.findall(r"^  (?:-\w, )?(--[\w-]+)", groups[group], re.MULTILINE)
        assert found == options


def test_a_mistyped_command_names_the_near_one(run_cli: RunCli) -> None:
    assert "Did you mean 'quantize'" in run_cli("quantise").stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gguf", "did you mean 'q8_0'?"),
        ("q4_k_m", "that type of GGUF is not supported yet"),
        ("fp8", "did you mean 'fp8_e4m3'?"),
        ("int8_rowise", "did you mean 'int8_rowwise'?"),
    ],
)
def test_a_format_that_there_is_not(run_cli: RunCli, name: str, words: str) -> None:
    for arguments in (("-f", name), ("-f", "int8", "--rule", f"a={name}")):
        result = run_cli("quantize", "a.safetensors", "b.safetensors", *arguments)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert result.stderr.startswith(f"quarrow: error: unknown format '{name}'")
        assert words in result.stderr


def test_info_has_the_names_that_people_know(run_cli: RunCli) -> None:
    text = run_cli("info").stdout
    assert "AVX3" not in text
    names = quarrow.info()["runnable_isas"]
    assert ("AVX-512" in text) == ("AVX3" in names)
    if "AVX3" in names:
        forced = run_cli("info", environment={"QUARROW_FORCE_ISA": "AVX-512"}).stdout
        assert re.search(r"^runs on +AVX-512 ", forced, re.MULTILINE)
