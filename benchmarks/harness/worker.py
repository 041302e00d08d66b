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
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_benchmark

from benchmarks.harness.case import Case, Job, call_stats
from benchmarks.harness.environment import environment
from benchmarks.harness.google_json import flags
from benchmarks.harness.settings import Settings
from benchmarks.suites import load_suite

STAGES = ("view", "alloc", "core", "export", "total")
COUNTS = ("cpu", "page_faults", "switches")
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
    page_faults: int
    switches: int
    result: object


def timed(job: Job, calls: int) -> Block:
    """Time a block of calls, after what comes before it.

    The last result lives until the clocks have been read; those before it are dropped one by one,
    as a program that makes many small calls does.
    """
    if job.before is not None:
        job.before()
    call = job.call
    result: object = None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = time.process_time()
    start = time.perf_counter()
    if calls == 1:
        result = call()
    else:
        for _ in range(calls):
            result = call()
    wall = time.perf_counter() - start
    cpu = time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF)
    faults, switches = after.ru_minflt - usage.ru_minflt, after.ru_nivcsw - usage.ru_nivcsw
    return Block(wall, cpu, faults, switches, result)


@dataclass(frozen=True)
class Body:
    """A benchmark as google-benchmark calls it: once for each repetition."""

    case: Case
    job: Job
    tell: Tell

    def __call__(self, state: Any) -> None:
        job, calls, count = self.job, self.case.calls, 0
        # The caller of a job that is one call of quarrow waits for all of it.
        whole = job.whole or (calls == 1 and job.stats is call_stats)
        totals: Any = Counter()
        while state:
            block = timed(job, calls)
            state.set_iteration_time(block.wall)
            found = job.stats(block.result)
            for stats in found:
                totals.update({f"stage_{s}": getattr(stats, f"{s}_seconds") for s in STAGES})
            if found:
                inside = sum(stats.total_seconds for stats in found)
                totals["stage_whole"] += block.wall / calls if whole else inside
            totals.update({name: getattr(block, name) / calls for name in COUNTS})
            # Freeing the result is the work of the next call in a naive loop; here it is apart.
            start = time.perf_counter()
            del block, found
            totals["free"] += time.perf_counter() - start
            count += 1
        for key, value in totals.items():
            state.counters[key] = value / count
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


def prepared(case: Case) -> tuple[Job, Block, float]:
    """Return a job that has computed the right thing once, that block, and the wait before it."""
    job = case.prepare()
    with no_collection():
        start = time.perf_counter()
        block = timed(job, case.calls)
        waited = time.perf_counter() - start - block.wall
    job.verify(block.result)
    block.result = None
    return job, block, waited if job.before else 0.0


def register(body: Body, samples: int | None) -> None:
    """Hand a benchmark to google-benchmark; with a number of samples they are its repetitions."""
    option = google_benchmark.option
    made: Any = option.use_manual_time()(body)
    if samples is not None:
        made = option.repetitions(samples)(made)
        if body.job.before is not None:
            # A pause is no part of the time that google-benchmark fills: one block is enough, for
            # a sample and for warming up. It knows no 0 here, and would take the flags' seconds.
            made = option.min_warmup_time(1e-9)(option.min_time(1e-9)(made))
    google_benchmark.register(made, name=body.case.id)


def run_case(case: Case, settings: Settings, tell: Tell, *, test: bool) -> bool:
    """Prepare a benchmark; measure it where it is too slow to be repeated, else register it.

    Returns whether google-benchmark has something to do.
    """
    tell(event="prepare", id=case.id)
    job, block, waited = prepared(case)
    samples = settings.samples_of(block.wall, waited)
    tell(event="prepared", id=case.id, seconds=block.wall / case.calls, samples=samples)
    if block.wall <= 1 if test else samples > 1:
        register(Body(case, job, tell), None if test else samples)
        return True
    # google-benchmark would first look for the length of a block. The first run was a test's.
    if not test:
        with no_collection():
            block = timed(job, case.calls)
    tell(event="only", id=case.id, wall=block.wall / case.calls, cpu=block.cpu / case.calls)
    return False


def run(order: dict[str, Any], tell: Tell) -> int:
    """Prepare, verify and measure; return 3 where a benchmark failed."""
    suite = load_suite(order["suite"])
    settings = Settings(**order["settings"])
    packages = {case.package for case in suite.cases if case.package}
    tell(event="environment", environment=environment(packages))
    failed = repeated = False
    for case in suite.cases:
        if case.id not in order["ids"]:
            continue
        try:
            repeated |= run_case(case, settings, tell, test=order["test"])
        except Exception as error:  # noqa: BLE001 (whatever a peer raises: told, and no time shown)
            failed = True
            said, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
            tell(event="failed", id=case.id, error=said, trace=trace)
    if repeated:
        chosen = flags(settings, Path(order["out"]), test=order["test"])
        google_benchmark.initialize([sys.argv[0], *chosen])
        with no_collection():
            google_benchmark.run_benchmarks()
    return 3 if failed else 0


def main() -> None:
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit(run(order, events_alone_on_stdout()))


if __name__ == "__main__":
    main()
