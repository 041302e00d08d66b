# SPDX-License-Identifier: Apache-2.0
"""The report: pages for a browser that need no server and no network, made from the store alone.

    FOLDER/index.html          targets, all benchmarks, suites, environment
    FOLDER/<suite>/index.html  a suite: its charts, its benchmarks
    FOLDER/<suite>/<id>.html   a benchmark: its samples, stages, memory
    FOLDER/<suite>/<id>.json   those samples, as they are stored
    FOLDER/summary.{json,csv}  all figures for a program

Two reports of one store are the same byte for byte. The index is written last.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from benchmarks.harness import changes, charts, targets
from benchmarks.harness.store import SCHEMA, SuiteRecord, write_atomically
from benchmarks.harness.summary import Row, SuiteSummary, Summary, as_csv, as_json
from benchmarks.harness.svg import STYLE
from benchmarks.harness.words import (
    bytes_text,
    change_text,
    compared_text,
    digits,
    duration_text,
    interval_text,
    rate_text,
    time_interval_text,
    time_text,
    typeset,
)

TEMPLATES = Path(__file__).with_name("templates")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TAKEN = {"index"}
_STAGES = {"view": "take the input", "alloc": "allocate", "core": "core", "export": "hand out"}
_COUNTERS = {
    "page_faults": "page faults of a call",
    "free": "freeing the result",
    "switches": "interruptions of a call",
}
_MEMORY = {
    "peak": "peak of the process grew by",
    "allowed": "its result has",
    "copied": "input copied",
}


def file_name(id_: str) -> str:
    """Return a name for a page that no other id has and that is no path."""
    if _FILE_NAME.fullmatch(id_) and id_ not in _TAKEN:
        return id_
    return re.sub(r"[^A-Za-z0-9_-]", "_", id_)[:80] + f"-{zlib.crc32(id_.encode()):08x}"


def flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Return nested values as lines: where, and what."""
    for key, value in values.items():
        where = f"{path} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from flat(value, where)
        elif where.endswith(" bytes") and isinstance(value, int):
            yield where.removesuffix(" bytes"), bytes_text(value)
        else:
            yield where, str(value)


def environments(suites: list[SuiteRecord]) -> list[tuple[str, str]]:
    """Return each line of the environments once, with the suites it is of where they differ."""
    found: dict[str, dict[str, list[str]]] = {}
    for suite in suites:
        for where, what in flat(suite.environment):
            found.setdefault(where, {}).setdefault(what, []).append(suite.name)
    return [
        (where, "; ".join(f"{what} ({', '.join(of)})" for what, of in said.items()))
        if len(said) > 1
        else (where, next(iter(said)))
        for where, said in found.items()
    ]


def stage_lines(row: Row) -> list[tuple[str, str]]:
    """Return the mean time of each stage of a call, what lies between them, and the share."""
    times = {_STAGES[stage]: seconds for stage, seconds in row.stages.items()}
    totals = row.record.by_process("stage_total")
    if totals and times:
        whole = float(np.mean(np.concatenate(totals)))
        times["between"] = max(whole - sum(times.values()), 0.0)
    total = sum(times.values())
    lines = [(word, f"{time_text(each)}, {each / total:.1%}") for word, each in times.items()]
    if row.share:
        lines.append(("outside the core", interval_text(row.share.scaled(100), "%")))
    return lines


def memory_lines(row: Row) -> list[tuple[str, str]]:
    """Return what is stored of a benchmark's memory, and what else was counted."""
    lines = [
        (_MEMORY.get(key, key), bytes_text(value))
        for key, value in (row.record.memory or {}).items()
    ]
    names = dict.fromkeys(name for sample in row.record.samples for name in sample.counters)
    for name in names:
        if name.startswith("stage_"):
            continue
        middle = float(np.median(np.concatenate(row.record.by_process(name))))
        said = time_text(middle) if name == "free" else digits(middle)
        lines.append((_COUNTERS.get(name, name), f"{said} (median)"))
    return lines


def estimate_lines(row: Row) -> list[tuple[str, str]]:
    """Return what the samples say, and what they are compared with."""
    estimate = row.estimate
    times = {
        "mean": estimate.mean,
        "standard deviation": estimate.deviation,
        "median absolute deviation": estimate.median_absolute_deviation,
        "least": estimate.minimum,
        "most": estimate.maximum,
        "CPU, median": row.cpu,
    }
    outliers = f"{estimate.outliers}, of them {estimate.severe_outliers} severe"
    return [
        ("median", time_interval_text(estimate.median)),
        *((what, time_text(seconds)) for what, seconds in times.items()),
        ("samples", row.samples_text),
        ("outliers", outliers),
        ("medians of runs, oldest first", ", ".join(time_text(each) for each in row.history)),
    ]


def sample_file(row: Row) -> str:
    """Return the samples of a benchmark as the store has them."""
    values = asdict(row.record)
    del values["memory"]  # of no run, and in a file of its own
    return json.dumps({"schema": SCHEMA, **values}, indent=1)


class _Pages:
    """Writes the pages of one report."""

    def __init__(self, summary: Summary, folder: Path) -> None:
        self._summary = summary
        self._folder = folder
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            bytes=bytes_text,
            change=lambda value: typeset(change_text(value)),
            duration=duration_text,
            file=file_name,
            interval=lambda value, unit="": typeset(interval_text(value, unit)),
            rate=rate_text,
            time=lambda seconds: typeset(time_text(seconds)),
            time_interval=lambda value: typeset(time_interval_text(value)),
            typeset=typeset,
        )
        self._environment.globals.update(
            baseline=summary.baseline,
            doubt=summary.doubt,
            fingerprint=summary.fingerprint,
            power=summary.power,
            symbols=dict([*targets.SYMBOLS.items(), *changes.SYMBOLS.items()]),
            verdicts=list(changes.SYMBOLS),
        )

    def write(self, path: str, template: str, **values: Any) -> Path:
        """Write a page; the way back to the top of the folder is `root`."""
        root = "../" * path.count("/")
        text = self._environment.get_template(template).render(root=root, **values)
        write_atomically(self._folder / path, text)
        return self._folder / path

    def benchmark(self, suite: SuiteSummary, index: int) -> None:
        """Write the page and the samples of a benchmark."""
        row = suite.rows[index]
        path = f"{file_name(suite.record.name)}/{file_name(row.case['id'])}"
        self.write(
            f"{path}.html",
            "benchmark.html.j2",
            suite=suite,
            row=row,
            before=suite.rows[index - 1] if index else None,
            after=suite.rows[index + 1] if index + 1 < len(suite.rows) else None,
            chart=charts.samples(row, self._summary.baseline),
            tables=[
                ("Estimates", estimate_lines(row)),
                ("Stages", stage_lines(row)),
                ("Memory and counters", memory_lines(row)),
            ],
            environment=[*environments([suite.record]), *flat(row.record.settings)],
        )
        write_atomically(self._folder / f"{path}.json", sample_file(row))

    def suite(self, suite: SuiteSummary) -> None:
        """Write the page of a suite."""
        self.write(
            f"{file_name(suite.record.name)}/index.html",
            "suite.html.j2",
            suite=suite,
            charts=charts.of_suite(suite.rows),
            environment=[*environments([suite.record]), *flat(suite.record.settings)],
        )

    def index(self) -> Path:
        """Write the first page."""
        summary = self._summary
        return self.write(
            "index.html",
            "index.html.j2",
            summary=summary,
            rows=[(suite, row) for suite in summary.suites for row in suite.rows],
            pages={
                row.id: f"{file_name(row.record.suite)}/{file_name(row.case['id'])}.html"
                for row in summary.rows
            },
            counts=Counter(each.state for each in summary.outcomes),
            compared=compared_text(row.change for row in summary.rows if row.change),
            environment=environments([suite.record for suite in summary.suites]),
        )


def write_report(summary: Summary, folder: Path) -> Path:
    """Write the pages of a summary.

    Parameters
    ----------
    summary : Summary
        Of the store; nothing else is read or measured.
    folder : Path
        Where to; pages of an earlier report are overwritten.

    Returns
    -------
    Path
        The page to open.
    """
    pages = _Pages(summary, folder)
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    write_atomically(folder / "report.css", STYLE + style)
    write_atomically(folder / "report.js", (TEMPLATES / "report.js").read_text(encoding="utf-8"))
    write_atomically(folder / "summary.json", as_json(summary))
    write_atomically(folder / "summary.csv", as_csv(summary))
    for suite in summary.suites:
        for index in range(len(suite.rows)):
            pages.benchmark(suite, index)
        pages.suite(suite)
    return pages.index()
