# SPDX-License-Identifier: Apache-2.0
"""What the store says, worked out once: every report shows this and nothing else."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness.changes import CONFIDENCE, Change, changes, power_text
from benchmarks.harness.environment import differences, warnings
from benchmarks.harness.stats import Estimate, Interval, estimate
from benchmarks.harness.store import AB, LATEST, PREVIOUS, Record, Store, SuiteRecord
from benchmarks.harness.targets import Figures, Headline, Outcome, Target, outcome
from benchmarks.suites import NAMES

STAGES = ("view", "alloc", "core", "export")
# A reference that varies by more than this within a run tells of a restless machine.
RESTLESS = 0.1


@dataclass(frozen=True)
class Row:
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

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def case(self) -> dict[str, Any]:
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
    row: Row | None = None  # None where it was not measured
    rival: Row | None = None
    ratio: Interval | None = None  # the rival's median to ours: how many times faster


@dataclass(frozen=True)
class Summary:
    """Everything that a report shows."""

    fingerprint: str
    baseline: str
    suites: list[SuiteSummary]
    outcomes: list[Outcome]  # none of a run that judges nothing (--quick)
    headlines: list[HeadlineRow] = field(default_factory=list)
    power: str = ""  # what the rounds of --ab see, in a sentence; "" without --ab
    skipped: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Iterator[Row]:
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


def _row(
    record: Record,
    figures: Figures,
    peers: list[Record],
    change: Change | None,
    base: Record | None,
) -> Row:
    case = record.case
    described = estimate(record.by_process(), figures.confidence)
    lists = _beside(record, figures, case["legacy"])
    is_rival = case["role"] == "ours" and case["job"]
    rivals = [each for each in peers if is_rival and each.case["job"] == case["job"]]
    peer = _best(record, figures, rivals)
    stages = {stage: record.by_process(f"stage_{stage}") for stage in STAGES}
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
        stages={stage: float(np.mean(np.concatenate(x))) for stage, x in stages.items() if x},
    )


def _restless(rows: list[Row]) -> list[str]:
    """Return warnings about copies that vary within the run."""
    copies = [row for row in rows if row.case["role"] == "copy"]
    spreads = [
        (row.estimate.median_absolute_deviation / row.estimate.median.value, row.case["title"])
        for row in copies
    ]
    worst, title = max(spreads, default=(0.0, ""))
    said = f"The reference itself is restless: {title} varies by {worst:.0%} (MAD)."
    return [said] * (worst > RESTLESS)


def _headline(headline: Headline, rows: dict[str, Row], figures: Figures) -> HeadlineRow:
    row = rows.get(headline.of)
    if row is None:
        return HeadlineRow(headline.words)
    beside = [rows[id_].record for id_ in headline.beside if id_ in rows]
    rival = _best(row.record, figures, beside)
    if rival is None:
        return HeadlineRow(headline.words, row)
    return HeadlineRow(headline.words, row, rows[rival.id], figures.ratio(rival.id, row.id))


def _power(rows: Iterable[Row]) -> str:
    judged = [row for row in rows if row.change and row.change.verdict]
    if not judged:
        return ""
    rounds = min(len(row.record.by_process()) for row in judged)
    deviations = [row.change.deviation for row in judged if row.change]
    return power_text(rounds, len(judged), float(np.median(np.array(deviations, float))))


def summarize(
    store: Store,
    targets: Sequence[Target],
    *,
    headlines: Sequence[Headline] = (),
    name: str = LATEST,
    baseline: str = PREVIOUS,
    last_run: bool = False,
) -> Summary:
    """Work out all figures of a stored name, the latest run's, beside those of another.

    No targets judge nothing. `last_run` leaves out what a suite's earlier runs left.
    """
    names = sorted(store.suites(), key=[*NAMES, *store.suites()].index)
    described = {suite: store.read_suite(suite, name) for suite in names}
    records = {
        record.id: record
        for suite, of in described.items()
        for record in store.records(suite, name)
        if not last_run or (of and of.run == record.run)
    }
    bases = {
        record.id: base
        for record in records.values()
        if (base := store.read(record.suite, record.case["id"], baseline)) is not None
        # Another build is compared with this one where both ran in turn.
        and (baseline != AB or base.run == record.run)
    }
    figures = Figures(records.get, CONFIDENCE)
    peers = [each for each in records.values() if each.case["role"] == "peer"]
    found = changes([(records[id_], base) for id_, base in bases.items()])
    suites = []
    for suite, record in described.items():
        rows = [
            _row(each, figures, peers, found.get(id_), bases.get(id_))
            for id_, each in records.items()
            if each.suite == suite
        ]
        if record is None and rows:
            store.skipped.append(f"{suite}: its benchmarks, because suite-{name}.json is not there")
        elif record is not None and rows:
            said = [*warnings(record.environment, record.noise), *_restless(rows)]
            other = store.read_suite(suite, AB) if baseline == AB else None
            if other and other.run == record.run:
                said += differences(record.environment, other.environment)
            suites.append(SuiteSummary(record, rows, said))
    rows_by_id = {row.id: row for each in suites for row in each.rows}
    return Summary(
        fingerprint=store.folder.name,
        baseline=baseline,
        suites=suites,
        outcomes=[outcome(each, figures) for each in targets],
        headlines=[_headline(each, rows_by_id, figures) for each in headlines],
        power=_power(rows_by_id.values()),
        skipped=list(dict.fromkeys(store.skipped)),
    )


def _plain(value: Any) -> Any:
    return value.numbers() if isinstance(value, Interval) else vars(value)


def _row_values(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        **{key: row.case[key] for key in ("title", "role", "package", "threads", "bytes")},
        "median_seconds": row.estimate.median,
        "bytes_per_second": row.throughput,
        "times_a_copy": row.to_copy,
        "faster_than_legacy": row.to_legacy,
        "faster_than_best_peer": row.to_peer,
        "share_outside_core": row.share,
        "mean_seconds": row.estimate.mean,
        "cpu_seconds": row.cpu,
        "best_peer": row.best_peer,
        "samples": row.estimate.samples,
        "samples_asked": row.record.settings["samples"],
        "change": row.change,
    }


def as_json(summary: Summary) -> str:
    """Return everything for a program; an interval is value, low and high."""
    suites = [
        {
            **{key: getattr(each.record, key) for key in ("name", "started", "environment")},
            "warnings": each.warnings,
            "missing": each.record.missing,
            "benchmarks": [_row_values(row) for row in each.rows],
        }
        for each in summary.suites
    ]
    everything = {
        **{key: getattr(summary, key) for key in ("fingerprint", "baseline", "power", "skipped")},
        "targets": summary.outcomes,
        "suites": suites,
    }
    return json.dumps(everything, indent=2, default=_plain)


def as_csv(summary: Summary) -> str:
    """Return a line for each benchmark; an interval is three columns."""
    lines = []
    for row in summary.rows:
        line = _row_values(row)
        change = line.pop("change")
        line["change"] = change and change.ratio
        line["verdict"] = change and (change.verdict or change.reason)
        for key, value in list(line.items()):
            if isinstance(value, Interval):
                names = (key, f"{key}_low", f"{key}_high")
                line |= dict(zip(names, value.numbers(), strict=True))
        lines.append(line)
    columns = list(dict.fromkeys(key for line in lines for key in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
