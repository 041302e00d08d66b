# SPDX-License-Identifier: Apache-2.0
"""Write docs/performance.md and its pictures from the store: python -m benchmarks.document [STORE].

README's picture and figures follow from it (`benchmarks.overview`).

Nothing is measured, and nothing in the document comes from elsewhere. What an earlier run of a
suite left is not in it, and a store whose last run was --quick is refused.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from quarrow.isa_names import readable_isa

from benchmarks.harness import charts
from benchmarks.harness.environment import fingerprint
from benchmarks.harness.options import OUTPUT
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Store, write_atomically
from benchmarks.harness.summary import HeadlineRow, Row, Summary, summarize
from benchmarks.harness.svg import alone
from benchmarks.harness.targets import SYMBOLS, Outcome, read_headlines, read_targets
from benchmarks.harness.words import COLUMNS, duration_text, interval_text, time_interval_text
from benchmarks.overview import DOCUMENT, write_overview

# Of a suite: git keeps them. The report's pages have all.
PICTURES = 3
INTRODUCTION = """\
# Performance

Measured by `python -m benchmarks` on one machine, and written by `python -m benchmarks.document`;
`benchmarks/README.md` says how to repeat it and how far to trust it. A figure is a median with its
95 % interval where there are six samples, and stands bare where there are fewer. Ratios are of
benchmarks of one run, whose samples were taken in random order.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return the lines of a table; what is in a cell stays there."""
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(" ".join(each.split()).replace("|", "\\|") for each in row) + " |"


def machine_lines(summary: Summary) -> Iterator[str]:
    """Say what was measured on, and how quiet it was."""
    environment = summary.suites[0].record.environment
    machine, build = environment["machine"], environment["quarrow"]
    yield (
        f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_gib']} GiB, last cache"
        f" {machine['cache_bytes'] >> 20} MiB; quarrow {build['version']},"
        f" {readable_isa(build['isa'])}, {build['executor']}; Python {environment['python']}.\n"
    )
    for suite in summary.suites:
        record = suite.record
        said = ", ".join(f"{name} {of}" for name, of in record.environment["libraries"].items())
        yield (
            f"- `{record.name}`: {record.started[:10]}, {duration_text(record.seconds)},"
            f" {Settings(**record.settings).words}. {said}."
        )
        for warning in suite.warnings:
            yield f"  **{warning}**"
        for name, reason in record.missing.items():
            yield f"  Without {name}: {reason}."


def headline_row(headline: HeadlineRow) -> list[str]:
    """Return a line of the first table: ours, the best of what stands beside it, and how far."""
    row, rival, ratio = headline.row, headline.rival, headline.ratio
    ours = time_interval_text(row.estimate.median) if row else "not measured"
    if row is None or rival is None or ratio is None:
        return [headline.words, ours, "nothing was measured beside it" if row else "", ""]
    theirs = f"{rival.case['title']}: {time_interval_text(rival.estimate.median)}"
    return [headline.words, ours, theirs, interval_text(ratio, "x")]


def target_row(outcome: Outcome) -> list[str]:
    target = outcome.target
    figures = interval_text(outcome.achieved, target.unit) if outcome.achieved else ""
    reason = f"({outcome.reason})" if outcome.achieved and outcome.reason else outcome.reason
    baseline = time_interval_text(outcome.baseline) if outcome.baseline else ""
    return [
        target.metric + ", CPU time" * (target.clock == "cpu"),
        target.goal or "not judged",
        f"{figures} {reason}",
        f"{SYMBOLS[outcome.state]} {outcome.state}",
        f"`{target.beside}` {baseline}" if target.beside else "the goal alone",
        target.peer,
        f"{target.stated}, target {target.stated_target}"
        if target.stated_target
        else target.stated,
    ]


def benchmark_row(row: Row) -> list[str]:
    """Return a line of a suite's table; a ratio is followed by what it is beside."""
    cells = {name: COLUMNS[name](row) for name in ("Median", "CPU", "Throughput")}
    ratios = {name: COLUMNS[name](row) for name in ("To copy", "To legacy", "To best peer")}
    for name in ("To copy", "To legacy"):
        ratios[name] = replace(ratios[name], beside=f"`{ratios[name].beside}`")
    return [
        f"`{row.case['id']}`",
        row.case["title"],
        *(cell.words for cell in cells.values()),
        *(f"{cell.words} {cell.beside}" if cell.words else "" for cell in ratios.values()),
        row.samples_text if row.cut else "",
    ]


def lines_of(summary: Summary, folder: Path) -> Iterator[str]:
    """Return the document line by line; pictures go into a folder beside it."""
    yield INTRODUCTION
    head = ["job", "quarrow", "the fastest beside it", "times as fast"]
    yield from table(head, [headline_row(each) for each in summary.headlines])
    yield "\n## Machine\n"
    yield from machine_lines(summary)
    yield "\n## Targets\n"
    yield (
        "A target is met when its whole interval is on the right side, missed when it is wholly on"
        " the wrong side. The stated figures were claimed elsewhere of another program; they are"
        " history.\n"
    )
    head = ["metric", "goal", "achieved", "verdict", "beside", "peer", "stated elsewhere"]
    yield from table(head, [target_row(each) for each in summary.outcomes])
    for suite in summary.suites:
        name = suite.record.name
        yield f"\n## {suite.record.title} (`{name}`)\n"
        yield f"{suite.record.about}\n"
        for number, chart in enumerate(charts.of_suite(suite.rows)[:PICTURES], 1):
            picture = folder / f"{name}_{number}.svg"
            write_atomically(picture, alone(chart.svg))
            yield f"**{chart.heading}.** {chart.note}\n"
            yield f"![{chart.heading}]({folder.name}/{picture.name})\n"
        head = ["benchmark", "what", "median", "CPU", "input a second", "time beside a copy"]
        head += ["as fast as lists", "as fast as the best peer", "cut"]
        yield from table(head, [benchmark_row(each) for each in suite.rows])


def write_document(summary: Summary, path: Path) -> None:
    """Write the document and its pictures; those of an earlier one go."""
    folder = path.with_suffix("")
    for old in folder.glob("*_[0-9].svg"):
        old.unlink()
    write_atomically(path, "\n".join(lines_of(summary, folder)) + "\n")


def main(arguments: Sequence[str]) -> int:
    store = Store(Path(arguments[0]) if arguments else OUTPUT, fingerprint())
    summary = summarize(store, read_targets(), headlines=read_headlines(), last_run=True)
    if not summary.suites:
        print(f"nothing is stored in {store.folder}; run python -m benchmarks", file=sys.stderr)
        return 3
    records = [each.record for each in summary.suites]
    quick = [each.name for each in records if Settings(**each.settings).is_quick]
    if quick:
        print(
            f"--quick proves nothing, and was the last run of {', '.join(quick)}", file=sys.stderr
        )
        return 3
    write_document(summary, DOCUMENT)
    write_overview()
    print(DOCUMENT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
