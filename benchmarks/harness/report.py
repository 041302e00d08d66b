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
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from benchmarks.harness import changes, charts, targets, words
from benchmarks.harness.store import SCHEMA, SuiteRecord, write_atomically
from benchmarks.harness.summary import Row, Summary, as_csv, as_json
from benchmarks.harness.svg import STYLE

TEMPLATES = Path(__file__).with_name("templates")
_FILE_NAME = re.compile(r"(?!index$)[A-Za-z0-9][A-Za-z0-9_.-]*")
_NOTES = dict.fromkeys(words.COLUMNS, "") | {
    "To copy": "\N{MULTIPLICATION SIGN} its time",
    "To legacy": "\N{MULTIPLICATION SIGN} as fast",
    "To best peer": "\N{MULTIPLICATION SIGN} as fast",
    "Against": "change in time",
}
_WORDS = {
    "view": "take the input", "alloc": "allocate", "export": "hand out",
    "page_faults": "page faults of a call", "free": "freeing the result",
    "switches": "interruptions of a call", "peak": "peak of the process grew by",
    "allowed": "its result has", "copied": "input copied",
}  # fmt: skip


def file_name(id_: str) -> str:
    """Return a name for a page that no other id has and that is no path."""
    if _FILE_NAME.fullmatch(id_):
        return id_
    return re.sub(r"[^A-Za-z0-9_-]", "_", id_)[:80] + f"-{zlib.crc32(id_.encode()):08x}"


def flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Return nested values as lines: where, and what."""
    for key, value in values.items():
        where = f"{path} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from flat(value, where)
        elif where.endswith(" bytes") and isinstance(value, int):
            yield where.removesuffix(" bytes"), words.bytes_text(value)
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
    times = dict(row.stages)
    totals = row.record.by_process("stage_total")
    if totals and times:
        times["between"] = max(float(np.concatenate(totals).mean()) - sum(times.values()), 0.0)
    whole = sum(times.values())
    lines = [
        (_WORDS.get(word, word), f"{words.time_text(each)}, {each / whole:.1%}")
        for word, each in times.items()
    ]
    share = row.share and ("outside the core", words.interval_text(row.share.scaled(100), "%"))
    return [*lines, share] if share else lines


def memory_lines(row: Row) -> list[tuple[str, str]]:
    """Return what is stored of a benchmark's memory, and what else was counted."""
    lines = [(key, words.bytes_text(value)) for key, value in (row.record.memory or {}).items()]
    for name in dict.fromkeys(name for each in row.record.samples for name in each.counters):
        if not name.startswith("stage_"):
            middle = float(np.median(np.concatenate(row.record.by_process(name))))
            said = words.time_text(middle) if name == "free" else words.digits(middle)
            lines.append((name, f"{said} (median)"))
    return [(_WORDS.get(name, name), said) for name, said in lines]


def figure_lines(row: Row) -> list[tuple[str, str]]:
    """Return what the samples say, and what they are compared with."""
    of, case, change = row.estimate, row.case, row.change
    ratios = (
        (f"time beside {case['copy']}", row.to_copy),
        (f"as fast as {case['legacy']}", row.to_legacy),
        (f"as fast as {row.best_peer}", row.to_peer),
    )
    times = {
        "CPU, median": row.cpu, "mean": of.mean, "standard deviation": of.deviation,
        "median absolute deviation": of.median_absolute_deviation,
        "least": of.minimum, "most": of.maximum,
    }  # fmt: skip
    lines = [("median", words.time_interval_text(of.median))]
    lines += [(what, words.interval_text(ratio, "x")) for what, ratio in ratios if ratio]
    if row.throughput:
        lines.append(("throughput of the input", words.rate_text(row.throughput.value)))
    if change:
        said = f"{change.verdict} {words.change_text(change.ratio)}; {change.reason}".strip(" ;")
        lines.append(("against the base", said))
    lines += [(what, words.time_text(seconds)) for what, seconds in times.items()]
    lines.append(("outliers", f"{of.outliers}, of them {of.severe_outliers} severe"))
    return lines


def _templates(summary: Summary) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    made.filters.update(
        bytes=words.bytes_text,
        duration=words.duration_text,
        file=file_name,
        interval=lambda value, unit: words.typeset(words.interval_text(value, unit)),
        time_interval=lambda value: words.typeset(words.time_interval_text(value)),
        typeset=words.typeset,
    )
    made.globals.update(
        baseline=summary.baseline,
        columns=words.COLUMNS,
        confidence=changes.CONFIDENCE,
        fingerprint=summary.fingerprint,
        column_notes=_NOTES,
        power=summary.power,
        symbols=dict([*targets.SYMBOLS.items(), *changes.SYMBOLS.items()]),
        verdicts=list(changes.SYMBOLS),
    )
    return made


def write_report(summary: Summary, folder: Path) -> Path:
    """Write the pages of a summary over those of an earlier one, and return the one to open."""
    templates = _templates(summary)

    def write(path: str, template: str, **values: Any) -> Path:
        page = templates.get_template(template).render(root="../" * path.count("/"), **values)
        write_atomically(folder / path, page)
        return folder / path

    texts = {name: (TEMPLATES / name).read_text("utf-8") for name in ("report.css", "report.js")}
    texts["report.css"] = STYLE + texts["report.css"]
    texts |= {"summary.json": as_json(summary), "summary.csv": as_csv(summary)}
    for name, text in texts.items():
        write_atomically(folder / name, text)
    pages = {
        row.id: f"{file_name(row.record.suite)}/{file_name(row.case['id'])}" for row in summary.rows
    }
    for suite in summary.suites:
        environment = environments([suite.record])
        neighbours = zip([None, *suite.rows[:-1]], [*suite.rows[1:], None], strict=True)
        for row, beside in zip(suite.rows, neighbours, strict=True):
            samples = {"schema": SCHEMA, **row.record.stored()}
            write_atomically(folder / f"{pages[row.id]}.json", json.dumps(samples, indent=1))
            write(
                f"{pages[row.id]}.html",
                "benchmark.html.j2",
                suite=suite,
                row=row,
                neighbours=beside,
                chart=charts.samples(row, summary.baseline),
                tables={
                    "Figures": figure_lines(row),
                    "Stages": stage_lines(row),
                    "Memory and counters": memory_lines(row),
                },
                environment=[*environment, *flat(row.record.settings)],
            )
        write(
            f"{file_name(suite.record.name)}/index.html",
            "suite.html.j2",
            suite=suite,
            rows=[(suite, row) for row in suite.rows],
            charts=charts.of_suite(suite.rows),
            environment=[*environment, *flat(suite.record.settings)],
        )
    return write(
        "index.html",
        "index.html.j2",
        summary=summary,
        rows=[(suite, row) for suite in summary.suites for row in suite.rows],
        pages=pages,
        counts=Counter(each.state for each in summary.outcomes),
        compared=words.compared_text(row.change for row in summary.rows if row.change),
        environment=environments([suite.record for suite in summary.suites]),
    )
