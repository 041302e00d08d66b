# SPDX-License-Identifier: Apache-2.0
"""What a person sees in the terminal."""

import collections
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from benchmarks.harness import changes, targets
from benchmarks.harness.engine import Plan
from benchmarks.harness.memory import Proof
from benchmarks.harness.summary import Row, Summary
from benchmarks.harness.words import (
    bytes_text,
    digits,
    duration_text,
    interval_text,
    rate_text,
    time_unit,
)

STATE_STYLES = {"met": "green", "missed": "red", "undecided": "yellow", "not measured": "dim"}
VERDICT_STYLES = {
    "improved": "green",
    "no change": "",
    "regressed": "red",
    "inconclusive": "yellow",
}
ROWS_OF_A_SCREEN = 12


class Watcher:
    """Shows which suite runs, which benchmark, and how long it may take."""

    def __init__(self, console: Console, plans: list[Plan]) -> None:
        self._plans = plans
        self._done: dict[str, str] = {}
        self._current = ""
        self._doing = ""
        self._counts: dict[str, int] = {}
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}")
        )
        self._task = self._progress.add_task("", total=1.0, left="")
        self._began = time.monotonic()
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4)

    def _table(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("suite", "benchmarks", "expected", ""):
            table.add_column(column)
        for each in self._plans:
            name = each.suite.name
            state = self._done.get(name, self._doing if name == self._current else "")
            expected = duration_text(each.expected_seconds)
            table.add_row(name, str(len(each.cases)), expected, Text(state))
        return Group(table, self._progress)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the table while the block runs."""
        with self._live:
            yield

    def begin(self, plan: Plan) -> None:
        """Show that a suite begins."""
        self._current = plan.suite.name
        self._doing = "starting"
        self._counts = dict.fromkeys((case.id for case in plan.cases), 0)
        self._progress.update(self._task, completed=self._finished_seconds())

    def end(self, plan: Plan, seconds: float) -> None:
        """Show that a suite has ended."""
        self._done[plan.suite.name] = f"done in {duration_text(seconds)}"
        self._current = ""
        self._progress.update(self._task, completed=self._finished_seconds(), left="")

    def _finished_seconds(self) -> float:
        return sum(p.expected_seconds for p in self._plans if p.suite.name in self._done)

    def see(self, event: dict[str, Any]) -> None:
        """Take an event of a worker."""
        if event["event"] == "prepare":
            self._doing = f"preparing and verifying {event['id']}"
        elif event["event"] == "sample":
            self._counts[event["id"]] = self._counts.get(event["id"], 0) + 1
            self._doing = f"{event['id']}, sample {self._counts[event['id']]}"
        elif event["event"] == "failed":
            self._live.console.print(f"[red]{event['id']}: {event['error']}[/red]")
        total = sum(each.expected_seconds for each in self._plans)
        left = max(0.0, total - (time.monotonic() - self._began))
        completed = min(total, time.monotonic() - self._began)
        self._progress.update(
            self._task, total=total, completed=completed, left=f"about {duration_text(left)} to go"
        )


def print_targets(console: Console, summary: Summary) -> None:
    """Print the promises and whether they are kept; what each is up against is in the report."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("target", overflow="fold")
    for column in ("", "achieved"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in summary.outcomes:
        state = Text(f"{targets.SYMBOLS[each.state]} {each.state}", STATE_STYLES[each.state])
        figures = interval_text(each.achieved, each.target.unit) if each.achieved else ""
        table.add_row(state, each.target.metric, each.target.goal, figures)
    console.print(table)


def _change_text(row: Row) -> Text:
    if row.change is None:
        return Text("")
    percent = 100 * (row.change.ratio.value - 1)
    verdict = row.change.verdict
    symbol = changes.SYMBOLS[verdict]
    return Text(f"{symbol} {verdict} {percent:+.1f} %", VERDICT_STYLES[verdict])


def _worth_a_line(rows: Sequence[Row]) -> list[Row]:
    """Return what changed, and after it what is ours."""
    changed = [
        row for row in rows if row.change and row.change.verdict in {"improved", "regressed"}
    ]
    ours = [row for row in rows if row.case["role"] == "ours" and row not in changed]
    return [*changed, *ours][:ROWS_OF_A_SCREEN]


def print_rows(console: Console, rows: Sequence[Row], baseline: str) -> None:
    """Print benchmarks, a line each."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("benchmark", no_wrap=True)
    compared = any(row.change for row in rows)
    cut = any(row.cut for row in rows)
    against = [f"against {baseline}"] if compared else []
    # What a narrow window has no room for is in the report.
    wide = console.width >= 110
    columns = ["median", "interval", *["throughput"] * wide, "x copy", *against]
    for column in (*columns, *["samples"] * cut):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        unit, length = time_unit(row.estimate.median.value)
        median = row.estimate.median.scaled(1 / length)
        table.add_row(
            row.case["id"],
            f"{digits(median.value)} {unit}",
            f"[{digits(median.low)}, {digits(median.high)}]",
            *([rate_text(row.throughput.value) if row.throughput else ""] if wide else []),
            digits(row.to_copy.value) if row.to_copy else "",
            *([_change_text(row)] if compared else []),
            *([row.samples_text.partition(" samples")[0]] if cut else []),
        )
    console.print(table)


def targets_in_words(summary: Summary) -> str:
    """Count the targets by what became of them."""
    counts = collections.Counter(each.state for each in summary.outcomes)
    return "targets: " + ", ".join(
        f"{counts[each]} {each}" for each in targets.SYMBOLS if counts[each]
    )


def print_summary(
    console: Console, summary: Summary, *, only: Collection[str], wanted: Callable[[str], bool]
) -> None:
    """Print what fits a screen: the lines that matter most, targets, verdicts, warnings.

    Parameters
    ----------
    console : Console
        Where to.
    summary : Summary
        All that is stored.
    only : collection of str
        The suites that were asked for; none is all.
    wanted : callable
        Tells by its id whether a benchmark was asked for.
    """
    suites = [each for each in summary.suites if not only or each.record.name in only]
    asked = [row for suite in suites for row in suite.rows if wanted(row.case["id"])]
    rows = asked if len(asked) <= ROWS_OF_A_SCREEN else _worth_a_line(asked)
    print_rows(console, rows, summary.baseline)
    if len(asked) > len(rows):
        console.print(f"and {len(asked) - len(rows)} more in the report", style="dim")
    console.print(f"{targets_in_words(summary)} (--check-targets lists them)")
    verdicts = collections.Counter(row.change.verdict for row in asked if row.change)
    if verdicts:
        said = ", ".join(f"{verdicts[each]} {each}" for each in changes.SYMBOLS if verdicts[each])
        console.print(f"against {summary.baseline}: {said}")
    for suite in suites:
        for warning in suite.warnings:
            console.print(f"{suite.record.name}: {warning}", style="yellow", markup=False)
        if suite.record.missing:
            names = ", ".join(suite.record.missing)
            console.print(f"{suite.record.name}: without {names} (--list says why)", style="dim")
    for skipped in summary.skipped:
        console.print(f"skipped {skipped}", style="yellow", markup=False, soft_wrap=True)


def print_proofs(console: Console, proofs: list[Proof]) -> None:
    """Print what each call did to memory."""
    table = Table(title="Memory", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("", "benchmark", "peak grew by", "its result has", "input copied"):
        table.add_column(column)
    for proof in proofs:
        state = Text("\u2713 holds", "green") if proof.holds else Text("\u2717 broken", "red")
        table.add_row(
            state,
            proof.id,
            bytes_text(proof.peak),
            bytes_text(proof.allowed),
            bytes_text(proof.copied),
        )
    console.print(table)
