# SPDX-License-Identifier: Apache-2.0
"""Samples on disk: all that reports are made from.

    FOLDER/<fingerprint>/<suite>/<id>/<name>.json    one benchmark of one run
    FOLDER/<fingerprint>/<suite>/<id>/memory.json    what one call did to memory; of no run
    FOLDER/<fingerprint>/<suite>/suite-<name>.json   the suite as it was run: order, what is missing
    FOLDER/<fingerprint>/history.jsonl               the medians of every run, a line for each suite

`name` is "new" for the latest run, "previous" for the one before, or a baseline's. Every file is
written beside its place and moved there, so that an interrupted run leaves what was there.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.case import Case, Suite

SCHEMA = 1
LATEST = "new"
PREVIOUS = "previous"
MEMORY = "memory"
# The other build of a run with two.
AB = "ab"
Made = TypeVar("Made")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class StoreError(Exception):
    """A name that cannot be used, or that nothing is stored under."""


@dataclass(frozen=True)
class Sample:
    """One repetition: seconds of one call, and what was counted beside them."""

    process: int
    wall: float
    cpu: float
    iterations: int
    counters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """The samples of one benchmark in one run."""

    suite: str
    case: dict[str, Any]
    samples: list[Sample]
    run: str  # the same for all benchmarks of a run
    settings: dict[str, Any]
    memory: dict[str, int] | None = None

    @property
    def id(self) -> str:
        """Suite and benchmark: "peers/int4_4mb"."""
        return f"{self.suite}/{self.case['id']}"

    def by_process(self, what: str = "wall") -> list[NDArray[np.float64]]:
        """Return the seconds of each process; `what` is wall, cpu, or the name of a counter."""
        found: dict[int, list[float]] = {}
        for sample in self.samples:
            value = getattr(sample, what) if what in {"wall", "cpu"} else sample.counters.get(what)
            if value is not None:
                found.setdefault(sample.process, []).append(value)
        return [np.array(found[key]) for key in sorted(found)]


@dataclass(frozen=True)
class SuiteRecord:
    """A suite as it was run."""

    name: str
    title: str
    about: str
    order: list[str]
    missing: dict[str, str]
    environment: dict[str, Any]
    noise: dict[str, float]
    started: str  # ISO 8601, UTC
    seconds: float
    settings: dict[str, Any]
    run: str


# What a case is stored with: all but the job.
_DESCRIPTION = tuple(each.name for each in fields(Case) if each.name != "prepare")


def described(case: Case) -> dict[str, Any]:
    """Return a case without what only a worker needs."""
    return {name: getattr(case, name) for name in _DESCRIPTION}


def suite_record(suite: Suite, **rest: Any) -> SuiteRecord:
    """Return what is stored of a suite."""
    order = [case.id for case in suite.cases]
    return SuiteRecord(suite.name, suite.title, suite.about, order, suite.missing, **rest)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file, or leave what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def check_name(name: str) -> str:
    """Return the name of a baseline, or refuse it."""
    if not _NAME.fullmatch(name) or name in {LATEST, PREVIOUS, MEMORY, AB}:
        message = (
            f"{name!r} is no name for a baseline: letters, digits, '_', '.', '-' are, and"
            f" {LATEST}, {PREVIOUS}, {MEMORY}, {AB} are taken"
        )
        raise StoreError(message)
    return name


def _read_record(value: dict[str, Any], **rest: Any) -> Record:
    """Return a benchmark from JSON; ValueError where its samples say nothing."""
    samples = [Sample(**each) for each in value.pop("samples")]
    record = Record(samples=samples, **value, **rest)
    numbers = [n for each in samples for n in (each.wall, each.cpu, *each.counters.values())]
    if not (
        set(record.case) >= set(_DESCRIPTION)
        and int(record.settings["samples"]) > 0
        and all(map(math.isfinite, numbers))
        and min((each.wall for each in samples), default=0) > 0
    ):
        raise ValueError
    return record


def _read_suite(value: dict[str, Any]) -> SuiteRecord:
    record = SuiteRecord(**value)
    if record.environment["machine"]["cpus"] <= 0 or record.noise["load_before"] < 0:
        raise ValueError
    return record


def _read_run(line: bytes) -> dict[str, Any]:
    run = json.loads(line)
    run["medians"] = {key: float(value) for key, value in run["medians"].items()}
    return {key: run[key] for key in ("suite", "started", "medians")}


class Store:
    """The figures of one machine."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder / fingerprint
        self.others = sorted(
            each.name
            for each in (folder.iterdir() if folder.is_dir() else ())
            if each.is_dir() and each.name != fingerprint and (each / "history.jsonl").exists()
        )
        self.skipped: list[str] = []

    def _path(self, suite: str, case: str, name: str) -> Path:
        return self.folder / suite / case / f"{name}.json"

    def write(self, record: Record, name: str = LATEST) -> None:
        """Store a benchmark; what was the latest becomes the previous one."""
        path = self._path(record.suite, record.case["id"], name)
        if name == LATEST:
            self.retire(record.suite, record.case["id"])
        values = asdict(record)
        del values["memory"]
        write_atomically(path, json.dumps({"schema": SCHEMA, **values}))

    def retire(self, suite: str, case: str) -> None:
        """Make the latest figures of a benchmark the previous ones; then there are no latest."""
        path = self._path(suite, case, LATEST)
        if path.exists():
            path.replace(path.with_name(f"{PREVIOUS}.json"))

    def forget(self, name: str) -> None:
        """Remove what is stored under a name."""
        for path in self.folder.glob(f"*/*/{name}.json"):
            path.unlink()

    def write_memory(self, suite: str, case: str, figures: dict[str, int]) -> None:
        """Store what a call did to memory; it belongs to no run."""
        text = json.dumps({"schema": SCHEMA, "figures": figures})
        write_atomically(self._path(suite, case, MEMORY), text)

    def write_suite(self, record: SuiteRecord, name: str = LATEST) -> None:
        """Store a suite as it was run; benchmarks that were not run this time stay listed."""
        path = self.folder / record.name / f"suite-{name}.json"
        write_atomically(path, json.dumps({"schema": SCHEMA, **asdict(record)}))

    def add_history(self, suite: SuiteRecord, medians: dict[str, float]) -> None:
        """Append the medians of a run."""
        line = {"suite": suite.name, "started": suite.started, "medians": medians}
        path = self.folder / "history.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        # A line that was cut off by a crash must not take this one with it.
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + json.dumps(line) + "\n")

    def _read(self, path: Path, make: Callable[[dict[str, Any]], Made], what: str) -> Made | None:
        """Return what a file holds, or None; one that cannot be read is noted in `skipped`."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            self.skipped.append(f"{path}: {error.strerror}")
            return None
        except ValueError:
            self.skipped.append(f"{path}: damaged, not JSON")
            return None
        if not isinstance(value, dict) or value.pop("schema", None) != SCHEMA:
            self.skipped.append(f"{path}: of another version of the benchmarks")
            return None
        try:
            return make(value)
        except (TypeError, KeyError, ValueError, AttributeError):
            self.skipped.append(f"{path}: damaged, not {what}")
            return None

    def read(self, suite: str, case: str, name: str = LATEST) -> Record | None:
        """Return a benchmark, or None."""

        def make(value: dict[str, Any]) -> Record:
            memory = self._read(
                self._path(suite, case, MEMORY),
                lambda stored: {key: int(size) for key, size in stored["figures"].items()},
                "figures of memory",
            )
            record = _read_record(value, memory=memory)
            if record.id != f"{suite}/{case}":
                raise ValueError
            return record

        return self._read(self._path(suite, case, name), make, "the samples of a benchmark")

    def read_suite(self, suite: str, name: str = LATEST) -> SuiteRecord | None:
        """Return a suite as it was run, or None."""
        return self._read(self.folder / suite / f"suite-{name}.json", _read_suite, "a suite")

    def suites(self) -> list[str]:
        """Return the names of the suites that something is stored of."""
        if not self.folder.is_dir():
            return []
        return sorted(each.name for each in self.folder.iterdir() if each.is_dir())

    def records(self, suite: str, name: str = LATEST) -> Iterator[Record]:
        """Return the benchmarks of a suite, those of its last run first and in its order."""
        stored = self.read_suite(suite) or self.read_suite(suite, name)
        folder = self.folder / suite
        there = {each.name for each in folder.iterdir() if each.is_dir()} if folder.is_dir() else ()
        order = stored.order if stored else []
        for case in [*(each for each in order if each in there), *sorted(set(there) - set(order))]:
            record = self.read(suite, case, name)
            if record is not None:
                yield record

    def history(self) -> list[dict[str, Any]]:
        """Return the runs in the order in which they were made."""
        path = self.folder / "history.jsonl"
        runs = []
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            self.skipped.append(f"{path}: {error.strerror}")
            return []
        for number, line in enumerate(lines, 1):
            try:
                runs.append(_read_run(line))
            except (ValueError, TypeError, KeyError, AttributeError):
                self.skipped.append(f"{path}, line {number}: damaged")
        return runs

    def baselines(self) -> list[str]:
        """Return the names that benchmarks are stored under, beside the latest."""
        names = {each.stem for each in self.folder.glob("*/*/*.json")}
        return sorted(names - {LATEST, PREVIOUS, MEMORY, AB})

    def save_as(self, name: str, suites: list[str]) -> None:
        """Keep the latest figures under a name."""
        check_name(name)
        for suite in suites:
            stored = self.read_suite(suite)
            if stored is not None:
                self.write_suite(stored, name)
            for record in self.records(suite):
                self.write(record, name)
