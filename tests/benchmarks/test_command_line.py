# SPDX-License-Identifier: Apache-2.0
"""python -m benchmarks, as it is typed."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command_line
from benchmarks.__main__ import main
from benchmarks.harness import engine
from benchmarks.harness.changes import CONFIDENCE, NOISE
from benchmarks.harness.environment import fingerprint
from benchmarks.harness.options import INVALID, OUTPUT, parse
from benchmarks.suites import NAMES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]
FEW = ["--sample-size", "6", "--warm-up-time", "0", "--measurement-time", "0.02"]
ONE = ["numpy_vs_legacy", *FEW]
FILTER = ["--", "^numpy_into_4mb$"]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what runs the command line in a folder of its own: status, output, errors."""

    def run_it(*arguments: Any, output: Any = True) -> Any:
        cut = arguments.index("--") if "--" in arguments else len(arguments)
        where = ["--output-dir", str(tmp_path)] if output else []
        status = main([*arguments[:cut], *where, *arguments[cut:]])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_it


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Any:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == INVALID
    return capsys.readouterr().err


def test_help_names_every_option_and_status() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for word in ("--quick", "--ab VENV", "--save-baseline", "-- FILTER", "130  interrupted"):
        assert word in done.stdout


def test_the_defaults_are_a_hundred_samples_in_five_seconds() -> None:
    options = parse([])
    settings = options.settings
    assert (settings.samples, settings.warm_up, settings.measurement) == (100, 3.0, 5.0)
    assert (settings.time_cap, parse(["--time-cap", "9"]).settings.time_cap) == (100.0, 9.0)
    assert (CONFIDENCE, NOISE, options.processes) == (0.95, 0.05, None)
    assert (options.output_dir, options.action, options.no_report) == (OUTPUT, "measure", False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sample-size", "0"], "'0' is not a whole number from 1"),
        (["--sample-size", "x"], "'x' is not a whole number"),
        (["--warm-up-time", "-1"], "'-1' is not a number of seconds"),
        (["--warm-up-time", "nan"], "'nan' is not a number of seconds"),
        (["--measurement-time", "0"], "'0' is not a number of seconds from 0.001"),
        (["--fail-on", "rain"], "'rain' is not one of regressed, target"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        (["--quick", "--memory"], "not allowed with"),
        (["--baseline", "a", "--save-baseline", "b"], "not allowed with"),
        (["--ab", "venv", "--baseline", "b"], "--ab compares with the other build"),
        (["--processes", "8"], "--processes are the rounds of --ab"),
        (["--ab", "venv", "--processes", "5"], "'5' is not a whole number from 6"),
        (["--fail-on", "regressed"], "needs a verdict, and only --ab gives one"),
        (["--baseline", "b", "--fail-on", "target,regressed"], "only --ab gives one"),
        (["--quick", "--fail-on", "target"], "--quick judges no target"),
        (["--quick", "--sample-size", "50"], "--quick says itself how much is measured"),
        (["--quick", "--warm-up-time", "0"], "--quick says itself how much is measured"),
        (["--memory", "--baseline", "b"], "--baseline means nothing with --memory"),
        (["--check-targets", "--save-baseline", "b"], "--save-baseline means nothing with"),
        (["--load-baseline", "a", "--save-baseline", "b"], "means nothing with --load-baseline"),
        (["--test", "--fail-on", "target"], "--fail-on means nothing with --test"),
        (["--list", "--fail-on", "target"], "--fail-on means nothing with --list"),
        (["--list", "--format", "json"], "--format means nothing with --list"),
        (["--check-targets", "--time-cap", "1"], "--time-cap means nothing with --check-targets"),
        (["--", "a", "b"], "one filter follows --, not 2"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--sample"], "unrecognized arguments"),
    ],
)
def test_wrong_options_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: Any, said: Any
) -> None:
    assert said in refused(capsys, *arguments)


def test_an_unknown_suite_says_what_exists(run: Run) -> None:
    status, _, errors = run("nonsense")
    assert status == INVALID
    assert "there is no suite 'nonsense'" in errors
    assert all(name in errors for name in NAMES)


@pytest.mark.parametrize("action", [[], ["--test"]])
def test_an_unknown_filter_says_what_exists(run: Run, action: Any) -> None:
    status, _, errors = run("numpy_vs_legacy", *action, "--", "no_such_thing")
    assert status == INVALID
    assert "no benchmark has 'no_such_thing' in its name" in errors
    assert "numpy_into_4mb_cold" in errors


def test_a_filter_that_is_no_expression_is_refused(run: Run) -> None:
    status, _, errors = run("numpy_vs_legacy", "--", "(")
    assert status == INVALID
    assert "'(' is no regular expression" in errors


def test_list_names_suites_benchmarks_and_what_is_missing(run: Run) -> None:
    status, out, _ = run("--list", output=False)
    assert status == 0
    assert all(name in out for name in NAMES)
    assert "numpy_into_4mb_cold" in out
    status, out, _ = run("batch_overhead", "--list", "--", "real")
    assert "batch_100_real" in out
    assert "batch_100_tiny" not in out


def test_a_filter_chooses_benchmarks_and_what_their_ratios_need(run: Run, tmp_path: Path) -> None:
    status, out, _ = run(*ONE, "--no-report", "--", "^numpy_4mb$")
    assert status == 0
    (folder,) = tmp_path.glob("*/numpy_vs_legacy")
    stored = {each.name for each in folder.iterdir() if each.is_dir()}
    assert stored >= {"numpy_4mb", "copy_4mb", "legacy_4mb"}
    assert not any("40mb" in name for name in stored)
    assert out.startswith(f"{len(stored)} benchmarks, about")


def test_quick_judges_nothing(run: Run) -> None:
    status, out, _ = run("numpy_vs_legacy", "--quick", "--no-report", *FILTER)
    assert status == 0
    assert "targets" not in out


def test_the_report_is_where_the_last_line_says(run: Run) -> None:
    _, out, _ = run(*ONE, *FILTER)
    page = Path(out.splitlines()[-1].removeprefix("report: "))
    assert page.is_file()
    assert "numpy_into_4mb" in page.read_text(encoding="utf-8")


def test_output_for_a_program_is_nothing_but_that(run: Run) -> None:
    status, out, errors = run(*ONE, "--format", "json", "--no-report", *FILTER)
    assert status == 0
    rows = {each["id"]: each for suite in json.loads(out)["suites"] for each in suite["benchmarks"]}
    row = rows["numpy_vs_legacy/numpy_into_4mb"]
    low, high = row["median_seconds"][1:]
    assert 0 < low <= row["median_seconds"][0] <= high
    assert row["samples"] == row["samples_asked"] == 6
    assert "benchmarks, about" in errors
    status, out, _ = run("--load-baseline", "new", "--format", "csv", "--no-report")
    lines = list(csv.DictReader(io.StringIO(out)))
    assert {line["id"] for line in lines} == set(rows)


def test_a_baseline_is_kept_compared_and_loaded(run: Run) -> None:
    status, *_ = run(*ONE, "--save-baseline", "mine", "--no-report", *FILTER)
    assert status == 0
    status, out, _ = run(*ONE, "--baseline", "mine", "--no-report", *FILTER)
    assert status == 0
    assert "no verdict: use --ab" in out
    status, out, _ = run("--load-baseline", "mine", "--no-report")
    assert status == 0
    assert "numpy_into_4mb" in out


def test_a_baseline_that_lacks_something_is_taken_and_an_unknown_one_refused(run: Run) -> None:
    run(*ONE, "--save-baseline", "mine", "--no-report", *FILTER)
    status, _, errors = run(*ONE, "--baseline", "yours", *FILTER)
    assert status == INVALID
    assert "there is no baseline 'yours' of this machine; there are: mine" in errors
    status, *_ = run(*ONE, "--baseline", "mine", "--no-report", "--", "^numpy_4mb$")
    assert status == 0
    status, _, errors = run("--load-baseline", "mine", "--baseline", "yours", "--no-report")
    assert status == INVALID
    assert "there is no baseline 'yours'" in errors


def slower_samples(found: engine.Measured, factor: float) -> engine.Measured:
    """Return what was measured, ours slower by a factor and the copies as they are."""
    samples = {
        name: [replace(each, wall=factor * each.wall) for each in given]
        for name, given in found.samples.items()
        if not name.startswith("copy")
    }
    return replace(found, samples=found.samples | samples)


def test_a_regression_is_a_status_when_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other build is this one, and here it takes eight times as long.
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    stale = tmp_path / fingerprint() / "peers/small_int4/ab.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("what another run left")
    real = engine.run_process

    def run_process(*arguments: Any, python: str, **rest: Any) -> engine.Measured:
        factor = 1.0 if python == str(other) else 8.0
        return slower_samples(real(*arguments, python=python, **rest), factor)

    monkeypatch.setattr(engine, "run_process", run_process)
    here = {"python": "2.7", "libraries": {}}
    monkeypatch.setattr(command_line, "installed", lambda packages: here)
    arguments = ["batch_overhead", *FEW, "--ab", str(other), "--processes", "6", "--no-report"]
    status, out, _ = run(*arguments, "--fail-on", "regressed", "--", "^batch_1_tiny$")
    assert "6 rounds of two processes: a change of 14 % is seen in 9 of 10 runs" in out
    assert "Verdicts are of Python too: 2.7 here, 3." in out
    assert "\u25bc regressed" in out
    assert status == 1
    assert not stale.exists()
    status, out, _ = run("--load-baseline", "new", "--no-report")
    assert status == 0


def test_a_missed_target_is_a_status_when_asked_for(run: Run, tmp_path: Path) -> None:
    run(*ONE, "--no-report", "--", "^(numpy|legacy)_4mb$")
    status, out, _ = run("--check-targets")
    assert "transfer of 4 MB" in out
    assert "not measured" in out
    for path in tmp_path.glob("*/numpy_vs_legacy/legacy_4mb/new.json"):
        record = json.loads(path.read_text())
        for sample in record["samples"]:
            sample["wall"] = 1e-6
        path.write_text(json.dumps(record))
    status, out, _ = run("--check-targets")
    assert "\u2717 missed" in out
    assert status == 2
    judged = ("--load-baseline", "new", "--no-report", "--fail-on", "target")
    assert run(*judged)[0] == 2
    # One that the filter finds, or the suites have.
    assert run(*judged, "--", "^numpy_4mb$")[0] == 2
    assert run(*judged, "--", "^numpy_into")[0] == 0
    assert run("pauses", *judged)[0] == 0


def test_nothing_stored_is_said(run: Run) -> None:
    status, _, errors = run("--check-targets")
    assert status == INVALID
    assert "nothing is stored" in errors


def test_a_body_runs_once_and_is_verified(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("numpy_vs_legacy", "--test", *FILTER)
    assert status == 0
    assert "4 passed, 0 failed" in out
    assert list(tmp_path.iterdir()) == []


def test_memory_is_proven_and_kept_for_the_report(run: Run, tmp_path: Path) -> None:
    run(*ONE, "--no-report", *FILTER)
    status, out, _ = run("numpy_vs_legacy", "--memory", *FILTER)
    assert status == 0
    assert "\u2713 holds" in out
    (path,) = tmp_path.glob("*/numpy_vs_legacy/numpy_into_4mb/memory.json")
    assert json.loads(path.read_text())["figures"]["copied"] == 0
    status, _, errors = run("numpy_vs_legacy", "--memory", "--", "legacy")
    assert status == INVALID
    assert "promises anything about memory" in errors


def test_a_venv_that_cannot_run_benchmarks_is_refused(run: Run, tmp_path: Path) -> None:
    status, _, errors = run("numpy_vs_legacy", "--ab", str(tmp_path / "none"))
    assert status == INVALID
    assert "does not run" in errors
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no module named quarrow >&2\nexit 1\n")
    python.chmod(0o755)
    status, _, errors = run("numpy_vs_legacy", "--ab", str(python))
    assert "cannot run benchmarks (no module named quarrow)" in errors
