# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks of one suite in this process with google-benchmark: python -m ... ORDER.json.

Started by `engine`, which writes the order and reads what is printed here: a JSON object a line.
"""

import contextlib
import gc
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_benchmark

from benchmarks.harness.case import Case, Job, call_stats
from benchmarks.harness.environment import environment
from benchmarks.harness.google_json import python_flags
from benchmarks.harness.settings import Settings
from benchmarks.suites import load_suite

STAGES = ("view", "alloc", "core", "export", "total")


Tell = Callable[..., None]


def events_alone_on_stdout() -> Tell:
    """Return what prints an event for the engine; what others print goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**event: object) -> None:
        print(json.dumps(event), file=stream, flush=True)

    return tell


@dataclass
class Block:
    """What one timed block of calls took, and the last result."""

    wall: float
    cpu: float
    result: object


def timed(call: Callable[[], object], calls: int) -> Block:
    """Time a block of calls.

    The last result lives until the clocks have been read; those before it are dropped one by one,
    as a program that makes many small calls does.
    """
    result: object = None
    cpu = time.process_time()
    start = time.perf_counter()
    if calls == 1:
        result = call()
    else:
        for _ in range(calls):
            result = call()
    wall = time.perf_counter() - start
    cpu = time.process_time() - cpu
    return Block(wall, cpu, result)


class Body:
    """A benchmark as google-benchmark calls it: once for each repetition."""

    def __init__(self, case: Case, job: Job, tell: Tell) -> None:
        self.case = case
        self.job = job
        self.tell = tell

    def __call__(self, state: Any) -> None:
        """Run the blocks of one repetition."""
        calls = self.case.calls
        cpu = free = 0.0
        count = 0
        stages = dict.fromkeys((*STAGES, "whole"), 0.0)
        # The caller of a job that is one call of quarrow waits for all of it.
        is_the_call = calls == 1 and self.job.stats is call_stats
        usage = resource.getrusage(resource.RUSAGE_SELF)
        while state:
            block = timed(self.job.call, calls)
            state.set_iteration_time(block.wall)
            cpu += block.cpu
            for stats in self.job.stats(block.result):
                for stage in STAGES:
                    stages[stage] += getattr(stats, f"{stage}_seconds")
                stages["whole"] += block.wall if is_the_call else stats.total_seconds
            start = time.perf_counter()
            del block
            free += time.perf_counter() - start
            count += 1
        after = resource.getrusage(resource.RUSAGE_SELF)
        counters = {
            "cpu": cpu / (count * calls),
            "free": free / (count * calls),
            "page_faults": (after.ru_minflt - usage.ru_minflt) / (count * calls),
            "switches": (after.ru_nivcsw - usage.ru_nivcsw) / (count * calls),
        }
        if stages["total"] > 0:
            counters |= {f"stage_{key}": value / count for key, value in stages.items()}
        for key, value in counters.items():
            state.counters[key] = value
        self.tell(event="sample", id=self.case.id)


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector away; what exists now is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def prepared(case: Case) -> tuple[Job, float]:
    """Return a job that has run once and computed the right thing, and its seconds."""
    job = case.prepare()
    with no_collection():
        block = timed(job.call, case.calls)
    job.verify(block.result)
    return job, block.wall


def register(body: Body, samples: int | None) -> None:
    """Hand a benchmark to google-benchmark; with a number of samples they are its repetitions."""
    made: Any = google_benchmark.option.use_manual_time()(body)
    if samples is not None:
        made = google_benchmark.option.repetitions(samples)(made)
    google_benchmark.register(made, name=body.case.id)


def run(order: dict[str, Any], tell: Tell) -> int:
    """Prepare, verify and measure; return 3 where a benchmark failed."""
    suite = load_suite(order["suite"])
    settings = Settings(**order["settings"])
    chosen = set(order["ids"])
    packages = {case.package for case in suite.cases if case.package}
    tell(event="environment", environment=environment(packages))
    failed = False
    repeated = 0
    for case in suite.cases:
        if case.id not in chosen:
            continue
        tell(event="prepare", id=case.id)
        try:
            job, seconds = prepared(case)
        except Exception as error:  # noqa: BLE001 (whatever a peer raises: told, and no time shown)
            failed = True
            tell(
                event="failed",
                id=case.id,
                error=f"{type(error).__name__}: {error}",
                trace=traceback.format_exc(),
            )
            continue
        samples = settings.samples_of(seconds)
        tell(event="prepared", id=case.id, seconds=seconds / case.calls, samples=samples)
        if order["test"] and seconds > 1:
            # It has run once; what takes long is not run again by google-benchmark.
            tell(event="only", id=case.id, wall=seconds, cpu=seconds)
            continue
        if samples == 1 and not order["test"]:
            # Too slow for google-benchmark, which would first look for the length of a block.
            with no_collection():
                block = timed(job.call, case.calls)
            tell(event="only", id=case.id, wall=block.wall / case.calls, cpu=block.cpu / case.calls)
            continue
        register(Body(case, job, tell), None if order["test"] else samples)
        repeated += 1
    if repeated:
        flags = python_flags(settings, Path(order["out"]), test=order["test"])
        google_benchmark.initialize([sys.argv[0], *flags])
        with no_collection():
            google_benchmark.run_benchmarks()
    return 3 if failed else 0


def main() -> None:
    """Run the order that the argument names."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit(run(order, events_alone_on_stdout()))


if __name__ == "__main__":
    main()
