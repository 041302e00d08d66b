# SPDX-License-Identifier: Apache-2.0
"""What the terminal says at the end of a run."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from stored_runs import FINGERPRINT, make_store, sizes_suite, write_run

from benchmarks.harness.console import PEERS_WANTED, print_summary
from benchmarks.harness.store import Store
from benchmarks.harness.summary import Summary, summarize
from benchmarks.harness.targets import Target

COPY = "numpy_vs_legacy/copy_4mb"
TARGETS = [
    Target("met", "value", (COPY,), "ms", at_most=100),
    Target("missed", "value", (COPY,), "us", at_most=1),
]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(make_store(tmp_path_factory.mktemp("store")), TARGETS)


def printed(summary: Summary, *, suites: tuple[str, ...] = (), width: int = 120) -> list[str]:
    text = io.StringIO()
    console = Console(width=width, file=text, color_system=None)
    print_summary(console, summary, only=suites, wanted=lambda name: True)
    return text.getvalue().splitlines()


def test_a_baseline_gets_ratios_and_no_verdict(summary: Summary) -> None:
    lines = printed(summary)
    assert any(line.startswith("against previous: 16 with no verdict: use --ab") for line in lines)
    (row,) = [line for line in lines if line.startswith("numpy_4mb")]
    assert " -4." in row or " -3." in row
    assert not any("improved" in line for line in lines)


def test_verdicts_and_their_power_are_said(summary: Summary) -> None:
    first, *rest = summary.suites
    rows = [
        replace(row, change=replace(row.change, verdict="regressed"))
        for row in first.rows
        if row.change
    ]
    judged = replace(summary, suites=[replace(first, rows=rows), *rest], power="12 rounds")
    lines = printed(judged)
    assert "12 rounds" in lines
    assert any("12 regressed, 4 with no verdict: use --ab" in line for line in lines)
    assert any("\u25bc regressed -" in line for line in lines)


def test_targets_are_counted_and_a_quick_run_judges_none(summary: Summary) -> None:
    assert "targets: 1 met, 1 missed (--check-targets lists them)" in printed(summary)
    assert not any("target" in line for line in printed(replace(summary, outcomes=[])))


def test_one_line_says_how_to_get_the_peers_that_are_missing(summary: Summary) -> None:
    lines = printed(replace(summary, outcomes=[]))
    assert lines.count(PEERS_WANTED) == 1
    assert "make bench-peers" in PEERS_WANTED
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert "\nbench-peers:\n" in makefile
    assert PEERS_WANTED not in printed(summary, suites=("numpy_vs_legacy",))


def test_figures_without_intervals_are_bare(tmp_path: Path) -> None:
    store = Store(tmp_path, FINGERPRINT)
    suite = sizes_suite()
    few = [replace(each, count=5) for each in suite.benchmarks]
    for day in (1, 2):
        write_run(store, replace(suite, benchmarks=few), f"2026-01-0{day}T08:00:00+00:00")
    text = "\n".join(printed(summarize(store, TARGETS)))
    assert "nan" not in text
    assert "[" not in text
    assert "5 of 100" in text
