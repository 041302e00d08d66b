# SPDX-License-Identifier: Apache-2.0
"""What the store says, worked out once: every report shows this and nothing else."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness import changes as changes_module
from benchmarks.harness import targets as targets_module
from benchmarks.harness.changes import Change, Doubt, changes, power_text
from benchmarks.harness.environment import warnings
from benchmarks.harness.stats import Estimate, Interval, estimate
from benchmarks.harness.store import AB, LATEST, PREVIOUS, Record, Store, SuiteRecord
from benchmarks.harness.targets import Figures, Headline, Outcome, Target, outcome
from benchmarks.suites import NAMES

STAGES = ("view", "alloc", "core", "export")
# A reference that varies by more than this within a run tells of a restless machine.
RESTLESS = 0.1


@dataclass(frozen=True)
class Row:
    """One benchmark."""

    record: Record
    estimate: Estimate
    cpu: float  # median seconds
    throughput: Interval | None  # bytes a second
    to_copy: Interval | None  # times a copy of the same bytes
    to_legacy: Interval | None  # times faster than the list call
    to_peer: Interval | None  # times faster than the best peer at the same job
    best_peer: str
    change: Change | None
    base: Record | None
    share: Interval | None  # outside the core
    stages: dict[str, float]  # mean seconds of a call
    history: list[float]  # medians of earlier runs and this one

    @property
    def id(self) -> str:
        """Return "suite/benchmark"."""
        return self.record.id

    @property
    def case(self) -> dict[str, Any]:
        """Return what the suite declared."""
        return self.record.case

    @property
    def cut(self) -> bool:
        """Tell whether there are fewer samples than were asked for."""
        return self.estimate.samples < int(self.record.settings["samples"])

    @property
    def samples_text(self) -> str:
        """Say how many samples there are, and of how many where a cap cut them."""
        cut = f" of {self.record.settings['samples']}" if self.cut else ""
        return f"{self.estimate.samples}{cut} samples{' (time cap)' * self.cut}"


@dataclass(frozen=True)
class SuiteSummary:
    """A suite and its benchmarks in order."""

    record: SuiteRecord
    rows: list[Row]
    warnings: list[str]


@dataclass(frozen=True)
class HeadlineRow:
    """A figure that a user wants first, beside the best of its peers that was measured."""

    words: str
    row: Row | None  # None where it was not measured
    rival: Row | None
    ratio: Interval | None  # the rival's median to ours: how many times faster


@dataclass(frozen=True)
class Summary:
    """Everything that a report shows."""

    fingerprint: str
    baseline: str
    suites: list[SuiteSummary]
    outcomes: list[Outcome]  # none of a run that judges nothing (--quick)
    doubt: Doubt
    headlines: list[HeadlineRow] = field(default_factory=list)
    power: str = ""  # what the rounds of --ab will have seen, in a sentence; "" without --ab
    skipped: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Iterator[Row]:
        """Return the benchmarks of all suites."""
        for suite in self.suites:
            yield from suite.rows


def _beside(record: Record, figures: Figures, other: str) -> Interval | None:
    """Return the time beside that of another benchmark of the same run, byte for byte, or None."""
    reference = figures.record(f"{record.suite}/{other}") if other else None
    if reference is None or record.run != reference.run:
        return None
    sizes = record.case["bytes"], reference.case["bytes"]
    return figures.ratio(record.id, reference.id).scaled(sizes[1] / sizes[0] if all(sizes) else 1.0)


def _best(record: Record, figures: Figures, rivals: Iterable[Record]) -> Record | None:
    """Return the fastest of those that were measured in the same run."""
    same = [each for each in rivals if each.run == record.run]
    return min(same, key=lambda each: figures.median(each.id).value, default=None)


def _stages(record: Record) -> dict[str, float]:
    found = {stage: record.by_process(f"stage_{stage}") for stage in STAGES}
    return {stage: float(np.mean(np.concatenate(each))) for stage, each in found.items() if each}


def _row(
    record: Record,
    figures: Figures,
    peers: list[Record],
    change: Change | None,
    base: Record | None,
    history: list[float],
) -> Row:
    case = record.case
    described = estimate(record.by_process(), figures.confidence)
    lists = _beside(record, figures, case["legacy"])
    is_rival = case["role"] == "ours" and case["job"]
    rivals = [each for each in peers if is_rival and each.case["job"] == case["job"]]
    peer = _best(record, figures, rivals)
    return Row(
        record=record,
        estimate=described,
        cpu=figures.median(record.id, "cpu").value,
        throughput=described.median.inverse(case["bytes"]) if case["bytes"] else None,
        to_copy=_beside(record, figures, case["copy"]) if case["bytes"] else None,
        to_legacy=lists.inverse() if lists else None,
        to_peer=figures.ratio(peer.id, record.id) if peer else None,
        best_peer=f"{peer.case['title']} ({peer.case['package']})" if peer else "",
        change=change,
        base=base,
        share=figures.share(record.id) if record.by_process("stage_whole") else None,
        stages=_stages(record),
        history=history,
    )


def _restless(rows: list[Row]) -> list[str]:
    """Return warnings about copies that vary within the run."""
    spread = [
        (row.estimate.median_absolute_deviation / row.estimate.median.value, row.case["title"])
        for row in rows
        if row.case["role"] == "copy"
    ]
    worst, title = max(spread, default=(0.0, ""))
    said = f"The reference itself is restless: {title} varies by {worst:.0%} (MAD)."
    return [said] * (worst > RESTLESS)


def _history(store: Store) -> dict[str, list[float]]:
    past: dict[str, list[float]] = {}
    for run in store.history():
        for case, median in run["medians"].items():
            past.setdefault(f"{run['suite']}/{case}", []).append(median)
    return past


def _headline(headline: Headline, rows: dict[str, Row], figures: Figures) -> HeadlineRow:
    row = rows.get(headline.of)
    if row is None:
        return HeadlineRow(headline.words, None, None, None)
    beside = [rows[id_].record for id_ in headline.beside if id_ in rows]
    rival = _best(row.record, figures, beside)
    ratio = figures.ratio(rival.id, row.id) if rival else None
    return HeadlineRow(headline.words, row, rows[rival.id] if rival else None, ratio)


def _power(rows: Iterable[Row], doubt: Doubt) -> str:
    judged = [row for row in rows if row.change and row.change.verdict]
    rounds = min((len(row.record.by_process()) for row in judged), default=0)
    return power_text(rounds, len(judged), doubt) if judged else ""


def summarize(
    store: Store,
    targets: Sequence[Target],
    doubt: Doubt,
    *,
    headlines: Sequence[Headline] = (),
    name: str = LATEST,
    baseline: str = PREVIOUS,
) -> Summary:
    """Work out all figures of a stored name, the latest run's, beside those of another.

    No targets judge nothing.
    """
    records = {
        record.id: record for suite in store.suites() for record in store.records(suite, name)
    }
    bases = {
        record.id: base
        for record in records.values()
        if (base := store.read(record.suite, record.case["id"], baseline)) is not None
        # Another build is compared with this one where both ran in turn.
        and (baseline != AB or base.run == record.run)
    }
    figures = Figures(records.get, doubt.confidence)
    peers = [each for each in records.values() if each.case["role"] == "peer"]
    found = changes([(records[id_], base) for id_, base in bases.items()], doubt)
    past = _history(store)
    suites = []
    order = {name: place for place, name in enumerate(NAMES)}
    for suite in sorted(store.suites(), key=lambda each: order.get(each, len(order))):
        record = store.read_suite(suite, name)
        rows = [
            _row(each, figures, peers, found.get(id_), bases.get(id_), past.get(id_, [])[-20:])
            for id_, each in records.items()
            if each.suite == suite
        ]
        if record is None and rows:
            store.skipped.append(f"{suite}: its benchmarks, because suite-{name}.json is not there")
        elif record is not None and rows:
            said = [*warnings(record.environment, record.noise), *_restless(rows)]
            suites.append(SuiteSummary(record, rows, said))
    rows_by_id = {row.id: row for each in suites for row in each.rows}
    return Summary(
        fingerprint=store.folder.name,
        baseline=baseline,
        suites=suites,
        outcomes=[outcome(each, figures) for each in targets],
        doubt=doubt,
        headlines=[_headline(each, rows_by_id, figures) for each in headlines],
        power=_power(rows_by_id.values(), doubt),
        skipped=list(dict.fromkeys(store.skipped)),
    )


def row_as_json(row: Row) -> dict[str, Any]:
    """Return a benchmark for a program; an interval is value, low and high."""
    intervals = {
        "median_seconds": row.estimate.median,
        "bytes_per_second": row.throughput,
        "times_a_copy": row.to_copy,
        "faster_than_legacy": row.to_legacy,
        "faster_than_best_peer": row.to_peer,
        "share_outside_core": row.share,
    }
    return {
        "id": row.id,
        **{key: row.case[key] for key in ("title", "role", "package", "threads", "bytes")},
        **{key: value.numbers() if value else None for key, value in intervals.items()},
        "mean_seconds": row.estimate.mean,
        "cpu_seconds": row.cpu,
        "best_peer": row.best_peer,
        "samples": row.estimate.samples,
        "samples_asked": row.record.settings["samples"],
        "change": changes_module.as_json(row.change) if row.change else None,
    }


def as_json(summary: Summary) -> str:
    """Return everything for a program."""
    suites = [
        {
            "name": each.record.name,
            "started": each.record.started,
            "environment": each.record.environment,
            "warnings": each.warnings,
            "missing": each.record.missing,
            "benchmarks": [row_as_json(row) for row in each.rows],
        }
        for each in summary.suites
    ]
    everything = {
        "fingerprint": summary.fingerprint,
        "baseline": summary.baseline,
        "power": summary.power,
        "targets": [targets_module.as_json(each) for each in summary.outcomes],
        "suites": suites,
        "skipped": summary.skipped,
    }
    return json.dumps(everything, indent=2)


def as_csv(summary: Summary) -> str:
    """Return a line for each benchmark; an interval is three columns."""
    lines = []
    for row in summary.rows:
        line = row_as_json(row)
        change = line.pop("change")
        line["change"] = change and change["ratio"]
        line["verdict"] = change and (change["verdict"] or change["reason"])
        for key in [each for each, value in line.items() if isinstance(value, list)]:
            names = (key, f"{key}_low", f"{key}_high")
            line |= dict(zip(names, line[key], strict=True))
        lines.append(line)
    columns = list(dict.fromkeys(key for line in lines for key in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
