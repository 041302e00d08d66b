# SPDX-License-Identifier: Apache-2.0
"""What a person sees in the terminal."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from benchmarks.harness import changes, targets
from benchmarks.harness.engine import Plan
from benchmarks.harness.memory import Proof
from benchmarks.harness.stats import Interval
from benchmarks.harness.summary import Row, Summary
from benchmarks.harness.words import (
    bytes_text,
    change_text,
    compared_text,
    counted,
    digits,
    duration_text,
    interval_text,
    rate_text,
    time_interval_text,
)

STYLES = {
    "met": "green",
    "missed": "red",
    "undecided": "yellow",
    "not measured": "dim",
    "improved": "green",
    "regressed": "red",
    "inconclusive": "yellow",
}
ROWS_OF_A_SCREEN = 12
PEERS_WANTED = "other libraries: `make bench-peers` installs and measures them"


class Watcher:
    """Shows which suite runs, which benchmark, and how long it may take."""

    def __init__(self, console: Console, plans: Sequence[Plan]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
            console=console,
        )
        self._tasks = {each.suite.name: self._add(each) for each in plans}
        self._task = TaskID(0)
        self._began = 0.0

    def _add(self, plan: Plan) -> TaskID:
        said = f"{len(plan.cases)} benchmarks, about {duration_text(plan.expected_seconds)}"
        total = max(plan.expected_seconds, 1e-9)
        return self._progress.add_task(plan.suite.name, total=total, doing=said)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show a line for each suite while the block runs."""
        with self._progress:
            yield

    def begin(self, plan: Plan) -> None:
        """Show that a suite begins."""
        self._task = self._tasks[plan.suite.name]
        self._began = time.monotonic()
        self._progress.update(self._task, doing="starting")

    def end(self, plan: Plan, seconds: float) -> None:
        """Show that a suite has ended."""
        done = f"done in {duration_text(seconds)}"
        self._progress.update(self._task, completed=max(plan.expected_seconds, 1e-9), doing=done)

    def see(self, event: dict[str, Any]) -> None:
        """Take an event of a worker."""
        if event["event"] == "failed":
            said = f"{event['id']}: {event['error']}"
            self._progress.console.print(said, style="red", markup=False)
        doing = f"{event['event']} {event.get('id', '')}"
        completed = time.monotonic() - self._began
        self._progress.update(self._task, completed=completed, doing=doing)


def _table(*columns: str, right: Collection[str] = ()) -> Table:
    """Return a table without lines; the first column is never cut."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        aside = column in right
        table.add_column(column, justify="right" if aside else "left", no_wrap=aside or place == 0)
    return table


def _state(word: str, symbol: str, more: str = "") -> Text:
    return Text(f"{symbol} {word} {more}".strip(), STYLES.get(word, ""))


def print_targets(console: Console, summary: Summary) -> None:
    """Print the promises and whether they are kept; what each is up against is in the report."""
    table = _table("", "target", "goal", "achieved", right={"goal", "achieved"})
    for each in summary.outcomes:
        state = _state(each.state, targets.SYMBOLS[each.state])
        figures = interval_text(each.achieved, each.target.unit) if each.achieved else ""
        table.add_row(state, each.target.metric, each.target.goal, figures)
    console.print(table)


def _of(words: Callable[[float], str], value: Interval | None) -> str:
    return words(value.value) if value else ""


def _change(row: Row) -> Text:
    if row.change is None:
        return Text("")
    said, verdict = change_text(row.change.ratio), row.change.verdict
    return _state(verdict, changes.SYMBOLS[verdict], said) if verdict else Text(said)


def _worth_a_line(rows: Sequence[Row]) -> list[Row]:
    """Return what changed, and after it what is ours."""
    changed = [
        row for row in rows if row.change and row.change.verdict in {"improved", "regressed"}
    ]
    ours = [row for row in rows if row.case["role"] == "ours" and row not in changed]
    return [*changed, *ours][:ROWS_OF_A_SCREEN]


def print_rows(console: Console, rows: Sequence[Row], baseline: str) -> None:
    """Print benchmarks, a line each; what a narrow window has no room for is in the report."""
    columns: list[tuple[str, bool, Callable[[Row], str | Text]]] = [
        ("benchmark", True, lambda row: str(row.case["id"])),
        ("median", True, lambda row: time_interval_text(row.estimate.median)),
        ("throughput", console.width >= 110, lambda row: _of(rate_text, row.throughput)),
        ("x copy", True, lambda row: _of(digits, row.to_copy)),
        (f"against {baseline}", any(row.change for row in rows), _change),
        (
            "samples",
            any(row.cut for row in rows),
            lambda row: row.samples_text.partition(" samples")[0],
        ),
    ]
    shown = [(title, of) for title, wanted, of in columns if wanted]
    table = _table(*(title for title, _ in shown), right=[title for title, _ in shown[1:]])
    for row in rows:
        table.add_row(*(of(row) for _, of in shown))
    console.print(table)


def targets_in_words(summary: Summary) -> str:
    """Count the targets by what became of them."""
    order = list(targets.SYMBOLS)
    states = sorted((each.state for each in summary.outcomes), key=order.index)
    return f"targets: {counted(states)}"


def print_summary(
    console: Console, summary: Summary, *, only: Collection[str], wanted: Callable[[str], bool]
) -> None:
    """Print what fits a screen, of the suites asked for (none is all) and the ids wanted."""
    suites = [each for each in summary.suites if not only or each.record.name in only]
    asked = [row for suite in suites for row in suite.rows if wanted(row.case["id"])]
    rows = asked if len(asked) <= ROWS_OF_A_SCREEN else _worth_a_line(asked)
    print_rows(console, rows, summary.baseline)
    if len(asked) > len(rows):
        console.print(f"and {len(asked) - len(rows)} more in the report", style="dim")
    if summary.outcomes:
        console.print(f"{targets_in_words(summary)} (--check-targets lists them)")
    said = compared_text(row.change for row in asked if row.change)
    if said:
        console.print(f"against {summary.baseline}: {said}")
    if summary.power:
        console.print(summary.power, soft_wrap=True)
    for suite in suites:
        for warning in suite.warnings:
            console.print(f"{suite.record.name}: {warning}", style="yellow", markup=False)
        if suite.record.missing:
            names = ", ".join(suite.record.missing)
            console.print(f"{suite.record.name}: without {names} (--list says why)", style="dim")
    if any(suite.record.missing for suite in suites):
        console.print(PEERS_WANTED)
    for skipped in summary.skipped:
        console.print(f"skipped {skipped}", style="yellow", markup=False, soft_wrap=True)


def print_proofs(console: Console, proofs: list[Proof]) -> None:
    """Print what each call did to memory."""
    table = _table("", "benchmark", "peak grew by", "its result has", "input copied")
    for proof in proofs:
        state = Text("\u2713 holds", "green") if proof.holds else Text("\u2717 broken", "red")
        figures = (proof.peak, proof.allowed, proof.copied)
        table.add_row(state, proof.id, *map(bytes_text, figures))
    console.print(table)
