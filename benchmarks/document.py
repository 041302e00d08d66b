# SPDX-License-Identifier: Apache-2.0
"""Write docs/performance.md and its plots from the store: python -m benchmarks.document [STORE].

README's picture and figures follow from it (`benchmarks.overview`).

Nothing is measured, and nothing in the document comes from elsewhere.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from quarrow.isa_names import readable_isa

from benchmarks.harness.changes import Doubt
from benchmarks.harness.environment import fingerprint
from benchmarks.harness.options import OUTPUT
from benchmarks.harness.store import Store, write_atomically
from benchmarks.harness.summary import Row, SuiteSummary, Summary, summarize
from benchmarks.harness.targets import SYMBOLS, Outcome, read_targets
from benchmarks.harness.words import (
    digits,
    duration_text,
    interval_text,
    rate_text,
    time_interval_text,
    time_text,
)
from benchmarks.overview import write_overview

# The same picture for the same figures: no random names in it, and its text as text.
mpl.rcParams |= {"svg.hashsalt": "quarrow", "svg.fonttype": "none"}

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
INTRODUCTION = """\
# Performance

Measured by `python -m benchmarks` on one machine, and written by `python -m benchmarks.document`;
`benchmarks/README.md` says how to repeat it and how far to trust it. Every figure is a median with
its 95 % interval. Ratios are of benchmarks of one run, whose samples were taken in random order.
"""


def cell(text: str) -> str:
    """Return text that stays within a cell of a table."""
    return text.replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return the lines of a table."""
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(cell(each) for each in row) + " |"


def machine_lines(summary: Summary) -> Iterator[str]:
    """Say what was measured on, and how quiet it was."""
    record = summary.suites[0].record
    machine, build = record.environment["machine"], record.environment["quarrow"]
    isa = readable_isa(build["isa"])
    yield (
        f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_gib']} GiB, last cache"
        f" {machine['cache_bytes'] >> 20} MiB; quarrow {build['version']}, {isa},"
        f" {build['executor']}; Python {record.environment['python']}."
    )
    yield ""
    for suite in summary.suites:
        libraries = suite.record.environment["libraries"]
        said = ", ".join(f"{name} {version}" for name, version in libraries.items())
        asked = suite.record.settings["samples"]
        yield (
            f"- `{suite.record.name}`: {suite.record.started[:10]},"
            f" {duration_text(suite.record.seconds)}, {asked} samples asked for. {said}."
        )
        for warning in suite.warnings:
            yield f"  **{warning}**"
        for name, reason in suite.record.missing.items():
            yield f"  Without {name}: {reason}."


def target_row(outcome: Outcome) -> list[str]:
    """Return a line of the table of targets."""
    target = outcome.target
    figures = interval_text(outcome.achieved, target.unit) if outcome.achieved else ""
    reason = f"({outcome.reason})" if outcome.achieved and outcome.reason else outcome.reason
    return [
        target.metric,
        target.stated,
        target.stated_target,
        time_interval_text(outcome.baseline) if outcome.baseline else "",
        target.goal,
        f"{figures} {reason}".strip(),
        f"{SYMBOLS[outcome.state]} {outcome.state}",
        target.peer,
    ]


def benchmark_row(row: Row) -> list[str]:
    """Return a line of a suite's table."""
    return [
        f"`{row.case['id']}`",
        row.case["title"],
        time_interval_text(row.estimate.median),
        time_text(row.cpu),
        rate_text(row.throughput.value) if row.throughput else "",
        interval_text(row.to_copy) if row.to_copy else "",
        digits(row.to_legacy.value) if row.to_legacy else "",
        f"{digits(row.to_peer.value)}, {row.best_peer}" if row.to_peer else "",
        row.samples_text if row.cut else "",
    ]


def plot(suite: SuiteSummary, path: Path) -> bool:
    """Draw times over sizes, both logarithmic; return whether there was anything to draw."""
    lines: dict[str, list[Row]] = {}
    for row in suite.rows:
        if row.case["line"] and row.case["size"]:
            lines.setdefault(row.case["line"], []).append(row)
    long = {name: rows for name, rows in lines.items() if len(rows) > 1}
    if not any(rows[0].case["role"] != "copy" for rows in long.values()):
        return False
    # As high as its legend.
    figure = Figure(figsize=(10, max(5.0, 0.2 * len(long))), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    styles = {"ours": "-", "copy": "--", "legacy": ":", "peer": "-.", "control": ":"}
    for name, rows in long.items():
        ordered = sorted(rows, key=lambda row: float(row.case["size"]))
        role = rows[0].case["role"]
        axes.plot(
            [row.case["size"] for row in ordered],
            [row.estimate.median.value * 1e3 for row in ordered],
            styles[role],
            label=name,
            color="black" if role == "copy" else None,
            linewidth=2.5 if role in {"ours", "copy"} else 1,
            marker="o",
            markersize=3,
        )
    sizes = sorted({float(row.case["size"]) for rows in long.values() for row in rows})
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes], minor=False)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    units = {row.case["size_unit"] for rows in long.values() for row in rows}
    axes.set_xlabel(" or ".join(sorted(units)))
    axes.set_ylabel("milliseconds, median")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    picture = io.StringIO()
    figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    # matplotlib ends lines with spaces.
    lines_of_picture = (line.rstrip() for line in picture.getvalue().splitlines())
    write_atomically(path, "\n".join(lines_of_picture) + "\n")
    return True


def lines_of(summary: Summary, folder: Path) -> Iterator[str]:
    """Return the document line by line; plots go into a folder beside it."""
    yield INTRODUCTION
    yield from machine_lines(summary)
    yield "\n## Targets\n"
    yield (
        "A target is met when its whole interval is on the right side, missed when it is wholly on"
        " the wrong side. The stated figures were claimed elsewhere of another program; they are"
        " history.\n"
    )
    head = ["metric", "stated baseline", "stated target", "measured baseline", "target", "achieved"]
    yield from table([*head, "", "peer"], [target_row(each) for each in summary.outcomes])
    for suite in summary.suites:
        yield f"\n## {suite.record.title} (`{suite.record.name}`)\n"
        yield f"{suite.record.about}\n"
        picture = folder / f"{suite.record.name}.svg"
        if plot(suite, picture):
            yield f"![{suite.record.title}]({folder.name}/{picture.name})\n"
        head = [
            "benchmark",
            "what",
            "median",
            "CPU",
            "input a second",
            "x copy",
            "x faster than lists",
        ]
        rows = [benchmark_row(each) for each in suite.rows]
        yield from table([*head, "best peer / it", "cut"], rows)


def write_document(summary: Summary, path: Path = DOCUMENT) -> None:
    """Write the document and its plots."""
    text = "\n".join(lines_of(summary, path.with_suffix("")))
    write_atomically(path, text + "\n")


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    store = Store(Path(arguments[0]) if arguments else OUTPUT, fingerprint())
    summary = summarize(store, read_targets(), Doubt())
    if not summary.suites:
        print(f"nothing is stored in {store.folder}; run python -m benchmarks", file=sys.stderr)
        return 3
    write_document(summary)
    write_overview()
    print(DOCUMENT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
