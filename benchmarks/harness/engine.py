# SPDX-License-Identifier: Apache-2.0
"""Runs suites in processes of their own and stores their samples."""

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness.case import Case, Suite
from benchmarks.harness.environment import NoiseMeter
from benchmarks.harness.google_json import BenchmarkFailedError, read_samples
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import AB, LATEST, Record, Sample, Store, suite_record

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
        starting = 1.0 * self.settings.processes * len(self.parts())
        return starting + sum(self.settings.expected_seconds(case) for case in self.cases)

    def parts(self) -> list["Plan"]:
        """Return what each process of a round runs: all together, but those that are alone."""
        together = tuple(case for case in self.cases if not case.alone)
        alone = [(case,) for case in self.cases if case.alone]
        return [replace(self, cases=cases) for cases in (together, *alone) if cases]


@dataclass
class Measured:
    """What the processes of a suite gave."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    # Of the process that measured: another venv has other libraries.
    environment: dict[str, Any] = field(default_factory=dict)

    def add(self, other: "Measured") -> None:
        for name, samples in other.samples.items():
            self.samples.setdefault(name, []).extend(samples)
        self.failures |= other.failures
        self.environment = other.environment


def plan(suite: Suite, wanted: Callable[[str], bool], settings: Settings) -> Plan:
    """Choose benchmarks, what their ratios need, and the copies of the same sizes."""
    found = [case for case in suite.cases if wanted(case.id)]
    left_out = tuple(case.id for case in found if settings.leaves_out(case))
    found = [case for case in found if not settings.leaves_out(case)]
    sizes = {(case.bytes, case.size_unit) for case in found}
    chosen = {name for case in found for name in (case.id, case.copy, case.legacy)}
    cases = tuple(
        case
        for case in suite.cases
        if (case.id in chosen or (case.role == "copy" and (case.bytes, case.size_unit) in sizes))
        and not settings.leaves_out(case)
    )
    return Plan(suite, cases, settings, left_out)


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with contextlib.suppress(ValueError):  # somebody else's print
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                yield event


def run_process(
    chosen: Plan, process: int, watch: Watch, *, test: bool, python: str = sys.executable
) -> Measured:
    """Run one part of a plan once through, in one fresh process."""
    with tempfile.TemporaryDirectory(prefix="quarrow-benchmarks-") as name:
        measured = _run_worker(python, chosen, process, watch, test=test, folder=Path(name))
    silent = {case.id for case in chosen.cases} - set(measured.samples) - set(measured.failures)
    measured.failures |= dict.fromkeys(sorted(silent), "it left no samples")
    return measured


def _run_worker(
    python: str, chosen: Plan, process: int, watch: Watch, *, test: bool, folder: Path
) -> Measured:
    out, order, errors = (folder / name for name in ("samples.json", "order.json", "stderr"))
    wanted = {
        "suite": chosen.suite.name,
        "ids": [case.id for case in chosen.cases],
        "settings": asdict(chosen.settings),
        "out": str(out),
        "test": test,
    }
    order.write_text(json.dumps(wanted), encoding="utf-8")
    measured = Measured()
    repeated = False
    with (
        errors.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(
            [python, *WORKER, str(order)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as child,
    ):
        try:
            for event in _events(child.stdout or ()):
                kind, id_ = event["event"], event.get("id", "")
                if kind == "environment":
                    measured.environment = event["environment"]
                elif kind == "failed":
                    measured.failures[id_] = event["error"]
                elif kind == "only":
                    measured.samples[id_] = [Sample(process, event["wall"], event["cpu"], 1)]
                repeated |= kind == "sample"
                watch(event)
        except BaseException:
            child.kill()
            raise
    if child.returncode not in {0, 3}:
        tail = "\n".join(errors.read_text(encoding="utf-8").strip().splitlines()[-6:])
        message = f"suite {chosen.suite.name}: its process ended with {child.returncode}:\n{tail}"
        raise BenchmarkFailedError(message)
    if repeated:
        calls = {case.id: case.calls for case in chosen.cases}
        measured.samples |= read_samples(out, process, calls)
    return measured


def test_suite(chosen: Plan, watch: Watch) -> dict[str, str]:
    """Run every body once and verify it; return what failed."""
    failures: dict[str, str] = {}
    for part in chosen.parts():
        failures |= run_process(part, 0, watch, test=True).failures
    return failures


def measure_suite(chosen: Plan, store: Store, watch: Watch, other: str = "") -> dict[str, str]:
    """Measure a suite and store it; return what failed.

    With the Python of another venv its build runs too, in rounds of two fresh processes in drawn
    order; what it gave is stored as "ab".
    """
    suite, began, noise = chosen.suite, time.monotonic(), NoiseMeter()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    pythons = {AB: other, LATEST: sys.executable} if other else {LATEST: sys.executable}
    builds = {name: Measured() for name in pythons}
    rounds = replace(chosen, settings=chosen.settings.of_process())
    order, names = random.Random(0), list(pythons)
    processes = chosen.settings.processes
    for process in range(processes):
        watch({"event": "process", "process": process})
        # Each is first as often as the other: every second round turns the one before round.
        if process % 2:
            names.reverse()
        else:
            order.shuffle(names)
        for part in rounds.parts():
            for name in names:
                found = run_process(part, process, watch, test=False, python=pythons[name])
                builds[name].add(found)
    failures = {id_: said for each in builds.values() for id_, said in each.failures.items()}
    run: dict[str, Any] = {
        # Those that the rounds asked for: what they share is rounded.
        "settings": asdict(replace(chosen.settings, samples=rounds.settings.samples * processes)),
        "run": f"{suite.name} {started} {id(noise):x}",
    }
    around = {"noise": noise.stop(), "started": started, "seconds": time.monotonic() - began}
    for name, measured in builds.items():
        described = suite_record(suite, environment=measured.environment, **around, **run)
        store.write_suite(described, name)
        for case in chosen.cases:
            samples = measured.samples.get(case.id)
            if case.id in failures:
                # What went wrong in one process is not shown because it went well in another.
                store.retire(suite.name, case.id)
            elif samples:
                store.write(Record(suite.name, case.described(), samples, **run), name)
    return failures
