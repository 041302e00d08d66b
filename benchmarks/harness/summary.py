# SPDX-License-Identifier: Apache-2.0
"""What the store says, worked out once: every report shows this and nothing else."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness import changes as changes_module
from benchmarks.harness import targets as targets_module
from benchmarks.harness.changes import Change, Doubt, changes
from benchmarks.harness.environment import warnings
from benchmarks.harness.stats import Estimate, Interval, estimate
from benchmarks.harness.store import AB, LATEST, PREVIOUS, Record, Store, SuiteRecord
from benchmarks.harness.targets import Figures, Outcome, Target, outcomes
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
        asked = self.record.settings["samples"]
        if self.cut:
            return f"{self.estimate.samples} of {asked} samples (time cap)"
        return f"{self.estimate.samples} samples"


@dataclass(frozen=True)
class SuiteSummary:
    """A suite and its benchmarks in order."""

    record: SuiteRecord
    rows: list[Row]
    warnings: list[str]


@dataclass(frozen=True)
class HeadlineRow:
    """One of the figures that a user wants first, beside the best of its peers that was measured."""

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


def _same_bytes(figures: Figures, id_: str, other: str) -> Interval | None:
    """Return the ratio of two benchmarks for the same bytes, or None."""
    record, reference = figures.record(id_), figures.record(other)
    if record is None or reference is None or not record.case["bytes"]:
        return None
    if record.run != reference.run:
        return None
    factor = reference.case["bytes"] / record.case["bytes"] if reference.case["bytes"] else 1.0
    return figures.ratio(id_, other).scaled(factor)


def _best_peer(
    record: Record, figures: Figures, rivals: list[Record]
) -> tuple[Interval, str] | None:
    """Return how many times faster than the fastest peer at the same job, and who that is."""
    same = [
        each for each in rivals if each.case["job"] == record.case["job"] and each.run == record.run
    ]
    if record.case["role"] != "ours" or not record.case["job"] or not same:
        return None
    best = min(same, key=lambda each: figures.median(each.id)[0])
    return figures.ratio(best.id, record.id), f"{best.case['title']} ({best.case['package']})"


def _stages(record: Record) -> dict[str, float]:
    means = {}
    for stage in STAGES:
        values = record.by_process(f"stage_{stage}")
        if values:
            means[stage] = float(np.mean(np.concatenate(values)))
    return means


def _row(
    record: Record,
    figures: Figures,
    rivals: list[Record],
    change: Change | None,
    base: Record | None,
    history: list[float],
) -> Row:
    suite, case = record.suite, record.case
    median, resampled = figures.median(record.id)
    throughput = None
    if case["bytes"]:
        throughput = figures.interval((case["bytes"] / median, case["bytes"] / resampled))
    to_copy = _same_bytes(figures, record.id, f"{suite}/{case['copy']}") if case["copy"] else None
    to_legacy = None
    lists = figures.record(f"{suite}/{case['legacy']}") if case["legacy"] else None
    if lists and lists.run == record.run:
        to_legacy = figures.ratio(f"{suite}/{case['legacy']}", record.id)
    peer = _best_peer(record, figures, rivals)
    stages = _stages(record)
    share = figures.interval(figures.share(record.id)) if record.by_process("stage_whole") else None
    return Row(
        record=record,
        estimate=estimate(record.by_process(), resampled, figures.confidence),
        cpu=figures.median(record.id, "cpu")[0],
        throughput=throughput,
        to_copy=to_copy,
        to_legacy=to_legacy,
        to_peer=peer[0] if peer else None,
        best_peer=peer[1] if peer else "",
        change=change,
        base=base,
        share=share,
        stages=stages,
        history=history,
    )


def _restless(rows: list[Row]) -> list[str]:
    """Return warnings about copies that vary within the run."""
    spread = [
        (row.estimate.median_absolute_deviation / row.estimate.median.value, row.case["title"])
        for row in rows
        if row.case["role"] == "copy"
    ]
    worst = max(spread, default=(0.0, ""))
    if worst[0] <= RESTLESS:
        return []
    return [f"The reference itself is restless: {worst[1]} varies by {worst[0]:.0%} (MAD)."]


def summarize(
    store: Store,
    targets: list[Target],
    doubt: Doubt,
    *,
    name: str = LATEST,
    baseline: str = PREVIOUS,
) -> Summary:
    """Work out all figures of the latest run, or of a stored name, beside a baseline.

    Parameters
    ----------
    store : Store
        Read, and nothing else.
    targets : list of Target
        To be judged.
    doubt : Doubt
        How sure intervals and verdicts are.
    name : str
        Whose figures: the latest, or those of a baseline.
    baseline : str
        What they are compared with.
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
    figures = Figures(records.get, doubt)
    rivals = [each for each in records.values() if each.case["role"] == "peer"]
    past: dict[str, list[float]] = {}
    for run in store.history():
        for case, median in run["medians"].items():
            past.setdefault(f"{run['suite']}/{case}", []).append(median)
    suites = []
    order = {name: place for place, name in enumerate(NAMES)}
    for suite in sorted(store.suites(), key=lambda each: order.get(each, len(order))):
        record = store.read_suite(suite, name)
        mine = [each for each in records.values() if each.suite == suite]
        if mine and record is None:
            store.skipped.append(f"{suite}: its benchmarks, because suite-{name}.json is not there")
        if record is None or not mine:
            continue
        found = changes([(each, bases[each.id]) for each in mine if each.id in bases], doubt)
        rows = [
            _row(
                each,
                figures,
                rivals,
                found.get(each.id),
                bases.get(each.id),
                past.get(each.id, [])[-20:],
            )
            for each in mine
        ]
        said = [*warnings(record.environment, record.noise), *_restless(rows)]
        suites.append(SuiteSummary(record, rows, said))
    return Summary(
        fingerprint=store.folder.name,
        baseline=baseline,
        suites=suites,
        outcomes=outcomes(targets, figures),
        doubt=doubt,
        skipped=list(dict.fromkeys(store.skipped)),
    )


def _numbers(value: Interval | None) -> list[float] | None:
    return [value.value, value.low, value.high] if value else None


def row_as_json(row: Row) -> dict[str, Any]:
    """Return a benchmark for a program."""
    return {
        "id": row.id,
        "title": row.case["title"],
        "role": row.case["role"],
        "package": row.case["package"],
        "threads": row.case["threads"],
        "bytes": row.case["bytes"],
        "median_seconds": _numbers(row.estimate.median),
        "mean_seconds": row.estimate.mean,
        "cpu_seconds": row.cpu,
        "bytes_per_second": _numbers(row.throughput),
        "times_a_copy": _numbers(row.to_copy),
        "faster_than_legacy": _numbers(row.to_legacy),
        "faster_than_best_peer": _numbers(row.to_peer),
        "best_peer": row.best_peer,
        "share_outside_core": _numbers(row.share),
        "samples": row.estimate.samples,
        "samples_asked": row.record.settings["samples"],
        "change": changes_module.as_json(row.change) if row.change else None,
    }


def as_json(summary: Summary) -> str:
    """Return everything for a program."""
    return json.dumps(
        {
            "fingerprint": summary.fingerprint,
            "baseline": summary.baseline,
            "targets": [targets_module.as_json(each) for each in summary.outcomes],
            "suites": [
                {
                    "name": each.record.name,
                    "started": each.record.started,
                    "environment": each.record.environment,
                    "warnings": each.warnings,
                    "missing": each.record.missing,
                    "benchmarks": [row_as_json(row) for row in each.rows],
                }
                for each in summary.suites
            ],
            "skipped": summary.skipped,
        },
        indent=2,
    )


def as_csv(summary: Summary) -> str:
    """Return a line for each benchmark; an interval is three columns."""
    lines = []
    for row in summary.rows:
        line: dict[str, Any] = {}
        for key, value in row_as_json(row).items():
            if key == "change":
                line["verdict"] = value["verdict"] if value else ""
            numbers = value["ratio"] if key == "change" and value else value
            if isinstance(numbers, list):
                line |= dict(zip((key, f"{key}_low", f"{key}_high"), numbers, strict=True))
            else:
                line[key] = numbers
        lines.append(line)
    columns = list(dict.fromkeys(key for line in lines for key in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
