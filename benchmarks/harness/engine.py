# SPDX-License-Identifier: Apache-2.0
"""Runs suites in processes of their own and stores their samples."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.case import Case, Suite
from benchmarks.harness.environment import NoiseMeter, environment
from benchmarks.harness.google_json import (
    BenchmarkFailedError,
    cpp_flags,
    knows_dry_run,
    read_samples,
)
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import (
    AB,
    LATEST,
    Record,
    Sample,
    Store,
    described,
    suite_record,
)

ROOT = Path(__file__).parents[2]
Watch = Callable[[dict[str, Any]], None]
WORKER = ("-m", "benchmarks.harness.worker")


@dataclass(frozen=True)
class Plan:
    """The benchmarks of one suite that a run measures."""

    suite: Suite
    cases: tuple[Case, ...]
    settings: Settings
    left_out: tuple[str, ...] = ()

    @property
    def expected_seconds(self) -> float:
        """About what the suite takes."""
        return 1.0 + sum(self.settings.expected_seconds(case) for case in self.cases)


@dataclass
class Measured:
    """What the processes of a suite gave."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    # Of the process that measured: another venv has other libraries.
    environment: dict[str, Any] = field(default_factory=dict)

    def add(self, other: "Measured") -> None:
        """Take in what another process gave."""
        for name, samples in other.samples.items():
            self.samples.setdefault(name, []).extend(samples)
        self.failures |= other.failures
        self.environment = other.environment


def plan(suite: Suite, wanted: Callable[[str], bool], settings: Settings) -> Plan:
    """Choose benchmarks, and the copies of the same sizes with them."""
    left_out = tuple(
        case.id for case in suite.cases if wanted(case.id) and settings.leaves_out(case)
    )
    chosen = {case.id for case in suite.cases if wanted(case.id) and not settings.leaves_out(case)}
    if chosen:
        named = {case.copy for case in suite.cases if case.id in chosen}
        sizes = {(c.bytes, c.size_unit) for c in suite.cases if c.id in named or c.id in chosen}
        chosen |= named & {case.id for case in suite.cases}
        chosen |= {
            case.id
            for case in suite.cases
            if case.role == "copy" and (case.bytes, case.size_unit) in sizes
        }
    cases = tuple(case for case in suite.cases if case.id in chosen)
    return Plan(suite, cases, settings, left_out)


def _events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # somebody else's print
        if isinstance(event, dict) and "event" in event:
            yield event


def _run_worker(
    python: str, chosen: Plan, process: int, watch: Watch, *, test: bool, folder: Path
) -> Measured:
    """Run the benchmarks of a suite in a fresh Python."""
    out, order, errors = (folder / name for name in ("samples.json", "order.json", "stderr"))
    out.unlink(missing_ok=True)
    order.write_text(
        json.dumps(
            {
                "suite": chosen.suite.name,
                "ids": [case.id for case in chosen.cases],
                "settings": chosen.settings.as_json(),
                "out": str(out),
                "test": test,
            }
        ),
        encoding="utf-8",
    )
    measured = Measured()
    repeated = False
    with errors.open("w", encoding="utf-8") as stderr:
        command = [python, *WORKER, str(order)]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as child:
            try:
                for event in _events(child):
                    if event["event"] == "environment":
                        measured.environment = event["environment"]
                    elif event["event"] == "failed":
                        measured.failures[event["id"]] = event["error"]
                    elif event["event"] == "only":
                        only = Sample(process, event["wall"], event["cpu"], 1)
                        measured.samples[event["id"]] = [only]
                    repeated |= event["event"] == "sample"
                    watch(event)
            finally:
                if sys.exc_info()[0] is not None:
                    child.kill()
    if child.returncode not in {0, 3}:
        tail = errors.read_text(encoding="utf-8").strip().splitlines()[-6:]
        message = f"suite {chosen.suite.name}: its process ended with {child.returncode}:\n"
        raise BenchmarkFailedError(message + "\n".join(tail))
    if repeated:
        calls = {case.id: case.calls for case in chosen.cases}
        measured.add(replace(measured, samples=read_samples(out, process, calls)))
    return measured


def _run_program(
    program: Path, chosen: Plan, process: int, *, test: bool, folder: Path
) -> Measured:
    """Run the benchmarks of a suite in a C++ program."""
    out = folder / "samples.json"
    out.unlink(missing_ok=True)
    names = [case.id for case in chosen.cases]
    flags = cpp_flags(chosen.settings, out, names, test=test, newer=knows_dry_run(program))
    done = subprocess.run([program, *flags], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{program.name} ended with {done.returncode}: {done.stderr.strip()[-500:]}"
        raise BenchmarkFailedError(message)
    return Measured(read_samples(out, process, {}), environment=environment(set()))


def run_process(
    chosen: Plan, process: int, watch: Watch, *, test: bool, python: str = sys.executable
) -> Measured:
    """Run the benchmarks of a suite once through, in one fresh process."""
    with tempfile.TemporaryDirectory(prefix="quarrow-benchmarks-") as name:
        folder = Path(name)
        if chosen.suite.program is not None:
            measured = _run_program(chosen.suite.program, chosen, process, test=test, folder=folder)
        else:
            measured = _run_worker(python, chosen, process, watch, test=test, folder=folder)
    silent = {case.id for case in chosen.cases} - set(measured.samples) - set(measured.failures)
    measured.failures |= dict.fromkeys(sorted(silent), "it left no samples")
    return measured


def test_suite(chosen: Plan, watch: Watch) -> dict[str, str]:
    """Run every body once and verify it; return what failed."""
    return run_process(chosen, 0, watch, test=True).failures


def now() -> str:
    """Return the time as it is stored."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class _Run:
    """One run of a suite: begins when made, stored when done."""

    chosen: Plan
    started: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)
    noise: NoiseMeter = field(default_factory=NoiseMeter)

    @property
    def name(self) -> str:
        return f"{self.chosen.suite.name} {self.started} {id(self):x}"

    def keep(self, store: Store, measured: Measured, name: str, settings: Settings) -> None:
        """Store what was measured."""
        suite = self.chosen.suite
        store.write_suite(
            suite_record(
                suite,
                environment=measured.environment,
                noise=self.noise.stop(),
                started=self.started,
                seconds=time.monotonic() - self.began,
                settings=settings.as_json(),
                run=self.name,
            ),
            name,
        )
        medians = {}
        for case in self.chosen.cases:
            samples = measured.samples.get(case.id)
            if case.id in measured.failures:
                # What went wrong in one process is not shown because it went well in another.
                store.retire(suite.name, case.id)
            elif samples:
                record = Record(
                    suite=suite.name,
                    case=described(case),
                    samples=samples,
                    run=self.name,
                    settings=settings.as_json(),
                )
                store.write(record, name)
                medians[case.id] = float(np.median([each.wall for each in samples]))
        if name == LATEST:
            stored = store.read_suite(suite.name)
            if stored is not None:
                store.add_history(stored, medians)


def measure_suite(chosen: Plan, store: Store, watch: Watch) -> dict[str, str]:
    """Measure a suite and store it; return what failed."""
    run = _Run(chosen)
    measured = Measured()
    settings = chosen.settings
    for process in range(settings.processes):
        part = replace(chosen, settings=settings.share_of_process(process))
        watch({"event": "process", "process": process})
        measured.add(run_process(part, process, watch, test=False))
    run.keep(store, measured, LATEST, settings)
    return measured.failures


def measure_two_builds(chosen: Plan, store: Store, watch: Watch, other: str) -> dict[str, str]:
    """Measure this build and another in alternating processes; the other is stored as "ab"."""
    run = _Run(chosen)
    ours, theirs = Measured(), Measured()
    settings = chosen.settings
    order = random.Random(0)
    for process in range(settings.processes):
        part = replace(chosen, settings=settings.share_of_process(process))
        pair = [(ours, sys.executable), (theirs, other)]
        order.shuffle(pair)
        for measured, python in pair:
            watch({"event": "process", "process": process})
            measured.add(run_process(part, process, watch, test=False, python=python))
    failures = ours.failures | theirs.failures
    for measured, name in ((theirs, AB), (ours, LATEST)):
        run.keep(store, replace(measured, failures=failures), name, settings)
    return failures
