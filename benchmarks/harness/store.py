# SPDX-License-Identifier: Apache-2.0
"""Samples on disk: all that reports are made from.

    FOLDER/<fingerprint>/<suite>/<id>/<name>.json    one benchmark of one run
    FOLDER/<fingerprint>/<suite>/<id>/memory.json    what one call did to memory; of no run
    FOLDER/<fingerprint>/<suite>/suite-<name>.json   the suite as it was run: order, what is missing

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

from benchmarks.harness.case import Case, RefusedError, Suite

SCHEMA = 1
LATEST = "new"
PREVIOUS = "previous"
MEMORY = "memory"
AB = "ab"  # the other build of a run with two
_TAKEN = {LATEST, PREVIOUS, MEMORY, AB}
_DESCRIBED = {each.name for each in fields(Case)} - {"prepare"}
Made = TypeVar("Made")


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

    def stored(self) -> dict[str, Any]:
        """Return what its file holds; what is known of memory is of no run and in another."""
        values = asdict(self)
        del values["memory"]
        return values

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


def suite_record(suite: Suite, **rest: Any) -> SuiteRecord:
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


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a baseline."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name in _TAKEN:
        message = (
            f"{name!r} is no name for a baseline: letters, digits, '_', '.', '-' are, and"
            f" {', '.join(sorted(_TAKEN))} are taken"
        )
        raise RefusedError(message)


def _read_record(value: dict[str, Any], **rest: Any) -> Record:
    """Return a benchmark from JSON; ValueError where its samples say nothing."""
    samples = [Sample(**each) for each in value.pop("samples")]
    record = Record(samples=samples, **value, **rest)
    numbers = [n for each in samples for n in (each.wall, each.cpu, *each.counters.values())]
    if not (
        set(record.case) >= _DESCRIBED
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


class Store:
    """The figures of one machine."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder / fingerprint
        stored = {path.relative_to(folder).parts[0] for path in folder.glob("*/*/suite-*.json")}
        self.others = sorted(stored - {fingerprint})
        self.skipped: list[str] = []

    def _path(self, suite: str, case: str, name: str) -> Path:
        return self.folder / suite / case / f"{name}.json"

    def _write(self, path: Path, values: dict[str, Any]) -> None:
        write_atomically(path, json.dumps({"schema": SCHEMA, **values}))

    def write(self, record: Record, name: str = LATEST) -> None:
        """Store a benchmark; what was the latest becomes the previous one."""
        if name == LATEST:
            self.retire(record.suite, record.case["id"])
        self._write(self._path(record.suite, record.case["id"], name), record.stored())

    def retire(self, suite: str, case: str) -> None:
        """Make the latest figures of a benchmark the previous ones; then there are no latest."""
        path = self._path(suite, case, LATEST)
        if path.exists():
            path.replace(path.with_name(f"{PREVIOUS}.json"))

    def forget(self, name: str) -> None:
        for path in self.folder.glob(f"*/*/{name}.json"):
            path.unlink()

    def write_memory(self, suite: str, case: str, figures: dict[str, int]) -> None:
        """Store what a call did to memory; it belongs to no run."""
        self._write(self._path(suite, case, MEMORY), {"figures": figures})

    def write_suite(self, record: SuiteRecord, name: str = LATEST) -> None:
        """Store a suite as it was run; benchmarks that were not run this time stay listed."""
        self._write(self.folder / record.name / f"suite-{name}.json", asdict(record))

    def _read(self, path: Path, make: Callable[[dict[str, Any]], Made], what: str) -> Made | None:
        """Return what a file holds, or None; one that cannot be read is noted in `skipped`."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value.pop("schema", None) == SCHEMA:
                return make(value)
            said = "of another version of the benchmarks"
        except FileNotFoundError:
            return None
        except OSError as error:
            said = str(error.strerror)
        except (TypeError, KeyError, ValueError, AttributeError):
            said = f"damaged, not {what}"
        self.skipped.append(f"{path}: {said}")
        return None

    def read(self, suite: str, case: str, name: str = LATEST) -> Record | None:
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
        return self._read(self.folder / suite / f"suite-{name}.json", _read_suite, "a suite")

    def suites(self) -> list[str]:
        return sorted(each.name for each in self.folder.glob("*/"))

    def records(self, suite: str, name: str = LATEST) -> Iterator[Record]:
        """Return the benchmarks of a suite, those of its last run first and in its order."""
        stored = self.read_suite(suite) or self.read_suite(suite, name)
        there = sorted(each.name for each in (self.folder / suite).glob("*/"))
        order = [each for each in stored.order if each in there] if stored else []
        for case in dict.fromkeys([*order, *there]):
            record = self.read(suite, case, name)
            if record is not None:
                yield record

    def baselines(self) -> list[str]:
        return sorted({each.stem for each in self.folder.glob("*/*/*.json")} - _TAKEN)

    def save_as(self, name: str, suites: list[str]) -> None:
        check_name(name)
        for suite in suites:
            stored = self.read_suite(suite)
            if stored is not None:
                self.write_suite(stored, name)
            for record in self.records(suite):
                self.write(record, name)
