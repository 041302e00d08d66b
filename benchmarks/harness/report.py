# SPDX-License-Identifier: Apache-2.0
"""The report: pages for a browser that need no server and no network, made from the store alone.

    FOLDER/index.html          targets, all benchmarks, suites, environment
    FOLDER/<suite>/index.html  a suite: how it scales, its benchmarks
    FOLDER/<suite>/<id>.html   a benchmark: its samples from every side
    FOLDER/<suite>/<id>.json   those samples, as they are stored
    FOLDER/summary.{json,csv}  all figures for a program

Two reports of one store are the same byte for byte. The index is written last.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from benchmarks.harness import changes, plots, suite_plots, targets
from benchmarks.harness.plots import typeset
from benchmarks.harness.store import SCHEMA, SuiteRecord, write_atomically
from benchmarks.harness.summary import Row, SuiteSummary, Summary, as_csv, as_json
from benchmarks.harness.words import (
    bytes_text,
    digits,
    duration_text,
    interval_text,
    rate_text,
    time_interval_text,
    time_text,
    time_unit,
)

TEMPLATES = Path(__file__).with_name("templates")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TAKEN = {"index"}
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
_SPARKLINE = (96, 24, 3)


def file_name(id_: str) -> str:
    """Return a name for a page that no other id has and that is no path."""
    if _FILE_NAME.fullmatch(id_) and id_ not in _TAKEN:
        return id_
    return re.sub(r"[^A-Za-z0-9_-]", "_", id_)[:80] + f"-{zlib.crc32(id_.encode()):08x}"


@dataclass(frozen=True)
class Sparkline:
    """Medians of runs as the points of a small picture."""

    points: list[tuple[float, float]]
    label: str
    width: int = _SPARKLINE[0]
    height: int = _SPARKLINE[1]


def sparkline(history: list[float]) -> Sparkline | None:
    """Return the picture of a history, or None where there is no second run."""
    if len(history) < 2:
        return None
    width, height, margin = _SPARKLINE
    low, high = min(history), max(history)
    # Less than a tenth of difference does not fill the height: noise is not to look like news.
    span = max(high - low, 0.1 * high)
    middle = (low + high) / 2
    step = (width - 2 * margin) / (len(history) - 1)
    points = [
        (
            round(margin + index * step, 1),
            round(height / 2 - (value - middle) / span * (height - 2 * margin), 1),
        )
        for index, value in enumerate(history)
    ]
    label = f"medians of {len(history)} runs, oldest first: "
    return Sparkline(points, label + ", ".join(typeset(time_text(value)) for value in history))


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


def environments(suites: list[SuiteRecord]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each line of the environments once, with the suites it is of where they differ."""
    found: dict[str, dict[str, list[str]]] = {}
    for suite in suites:
        for where, what in flat(suite.environment):
            found.setdefault(where, {}).setdefault(what, []).append(suite.name)
    return [
        (where, [(what, "" if len(said) == 1 else ", ".join(of)) for what, of in said.items()])
        for where, said in found.items()
    ]


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
        said = typeset(time_text(middle)) if name == "free" else digits(middle)
        lines.append((_COUNTERS.get(name, name), f"{said} (median)"))
    return lines


def fastest(summary: Summary) -> Row | None:
    """Return the benchmark of ours that takes the smallest part of a copy's time."""
    ours = [row for row in summary.rows if row.case["role"] == "ours" and row.to_copy]
    return min(ours, key=lambda row: row.to_copy.value if row.to_copy else 0.0, default=None)


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
            digits=digits,
            duration=duration_text,
            file=file_name,
            interval=lambda value, unit="": typeset(interval_text(value, unit)),
            rate=rate_text,
            sparkline=sparkline,
            time=lambda seconds: typeset(time_text(seconds)),
            time_interval=lambda value: typeset(time_interval_text(value)),
            typeset=typeset,
            unit=lambda seconds: typeset(f" {time_unit(seconds)[0]}").strip(),
        )
        self._environment.globals.update(
            baseline=summary.baseline,
            confidence=summary.doubt.confidence,
            fingerprint=summary.fingerprint,
            noise_threshold=summary.doubt.noise,
            state_symbols=targets.SYMBOLS,
            verdict_symbols=changes.SYMBOLS,
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
            plots=plots.of_benchmark(row, self._summary.baseline),
            stages=plots.stage_times(row),
            memory=memory_lines(row),
            environment=environments([suite.record]),
            settings=list(flat(row.record.settings)),
        )
        write_atomically(self._folder / f"{path}.json", sample_file(row))

    def suite(self, suite: SuiteSummary) -> None:
        """Write the page of a suite."""
        self.write(
            f"{file_name(suite.record.name)}/index.html",
            "suite.html.j2",
            suite=suite,
            plots=suite_plots.of_suite(suite.rows),
            environment=environments([suite.record]),
            settings=list(flat(suite.record.settings)),
        )

    def index(self) -> Path:
        """Write the first page."""
        summary = self._summary
        states = Counter(each.state for each in summary.outcomes)
        verdicts = Counter(row.change.verdict for row in summary.rows if row.change)
        return self.write(
            "index.html",
            "index.html.j2",
            summary=summary,
            rows=[(suite, row) for suite in summary.suites for row in suite.rows],
            pages={row.id: (suite, row) for suite in summary.suites for row in suite.rows},
            counts={state: states[state] for state in targets.SYMBOLS},
            verdicts={verdict: verdicts[verdict] for verdict in changes.SYMBOLS},
            fastest=fastest(summary),
            warnings=[(suite, said) for suite in summary.suites for said in suite.warnings],
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
    for asset in ("report.css", "report.js"):
        write_atomically(folder / asset, (TEMPLATES / asset).read_text(encoding="utf-8"))
    script = files("plotly").joinpath("package_data/plotly.min.js")
    write_atomically(folder / "plotly.min.js", script.read_text(encoding="utf-8"))
    write_atomically(folder / "summary.json", as_json(summary))
    write_atomically(folder / "summary.csv", as_csv(summary))
    for suite in summary.suites:
        for index in range(len(suite.rows)):
            pages.benchmark(suite, index)
        pages.suite(suite)
    return pages.index()
