# SPDX-License-Identifier: Apache-2.0
"""What a person sees in the terminal."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from benchmarks.harness import changes, targets, words
from benchmarks.harness.memory import Proof
from benchmarks.harness.summary import Row, Summary

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


def watching(console: Console, status: Status, suite: str) -> Callable[[dict[str, Any]], None]:
    """Return what takes the events of a suite's worker and says what it does now."""

    def see(event: dict[str, Any]) -> None:
        if event["event"] == "failed":
            said = f"{suite}/{event['id']}: {event['error']}"
            console.print(said, style="red", markup=False)
        status.update(Text(f"{suite}: {event['event']} {event.get('id', '')}"))

    return see


def _print_table(
    console: Console, heads: Sequence[str], lines: Sequence[Sequence[str | Text]], figures: int
) -> None:
    """Print a table without rules; the first column is never cut, nor the last so many figures."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        aside = place >= len(heads) - figures
        table.add_column(head, justify="right" if aside else "left", no_wrap=aside or place == 0)
    for line in lines:
        table.add_row(*line)
    console.print(table)


def _state(word: str, symbol: str, more: str = "") -> Text:
    return Text(f"{symbol} {word} {more}".strip(), STYLES.get(word, ""))


def print_targets(console: Console, summary: Summary) -> None:
    """Print the promises and whether they are kept; what each is up against is in the report."""
    lines = [
        (
            _state(each.state, targets.SYMBOLS[each.state]),
            each.target.metric,
            each.target.goal,
            words.interval_text(each.achieved, each.target.unit) if each.achieved else "",
        )
        for each in summary.outcomes
    ]
    _print_table(console, ("", "target", "goal", "achieved"), lines, figures=2)
    console.print(_targets_in_words(summary))


def _change(row: Row) -> Text:
    said, verdict = words.COLUMNS["Against"](row).words, row.change.verdict if row.change else ""
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
    columns: dict[str, Callable[[Row], str | Text]] = {
        "benchmark": lambda row: str(row.case["id"]),
        "median": lambda row: words.COLUMNS["Median"](row).words,
    }
    if console.width >= 110:
        columns["throughput"] = lambda row: words.COLUMNS["Throughput"](row).words
    columns["x copy"] = lambda row: words.COLUMNS["To copy"](row).bare
    if any(row.change for row in rows):
        columns[f"against {baseline}"] = _change
    if any(row.cut for row in rows):
        columns["samples"] = lambda row: row.samples_text.partition(" samples")[0]
    lines = [[of(row) for of in columns.values()] for row in rows]
    _print_table(console, list(columns), lines, figures=len(columns) - 1)


def _targets_in_words(summary: Summary) -> str:
    order = list(targets.SYMBOLS)
    states = sorted((each.state for each in summary.outcomes), key=order.index)
    return f"targets: {words.counted(states)}"


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
        console.print(f"{_targets_in_words(summary)} (--check-targets lists them)")
    said = words.compared_text(row.change for row in asked if row.change)
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
    lines: list[list[str | Text]] = []
    for proof in proofs:
        state = Text("\u2713 holds", "green") if proof.holds else Text("\u2717 broken", "red")
        figures = (proof.peak, proof.allowed, proof.copied)
        lines.append([state, proof.id, *map(words.bytes_text, figures)])
    heads = ("", "benchmark", "peak grew by", "its result has", "input copied")
    _print_table(console, heads, lines, figures=0)
