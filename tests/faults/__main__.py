# SPDX-License-Identifier: Apache-2.0
"""Fault injection: each call of a job fails in turn, and the job must take it well.

    python -m tests.faults [--slice | --full | --all] [--job NAME] [--call NAME] [--error NAME]

After each fault: an error of ours, OSError or MemoryError, or success; the old files or the new
ones; no temporary, no descriptor more; the next call right. What crashes, hangs or raises something
else is printed with the job, the call, its number and the error, and how to see it again.
"""

import argparse
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.faults import command_jobs, file_jobs, memory_jobs
from tests.faults.fault_list import CALLS
from tests.faults.job import JobKind
from tests.faults.runner import Choice, Failure, JobRun, Tally
from tests.faults.worker_process import ROOT

BUILD = ROOT / "build" / "release"
INJECTOR = BUILD / "tests" / "faults" / "libquarrow_fault_injector.so"
SLICE = (4, 2)
SLICE_OF_SLOW = (1, 1)
FULL = (200, 30)
# A slow machine leaves more out, and says how many.
FULL_SECONDS = 12 * 60

_print_lock = threading.Lock()


def all_jobs() -> dict[str, tuple[str, JobKind]]:
    """Return every job by its name: how the worker finds it, and its kind."""
    return {
        name: (f"{module.__name__}:{name}", kind)
        for module in (memory_jobs, file_jobs, command_jobs)
        for name, kind in module.KINDS.items()
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description="Let each call of a job fail in turn."
    )
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument(
        "--slice",
        dest="depth",
        action="store_const",
        const=SLICE,
        help=f"of each fault the first {SLICE[0]} calls and {SLICE[1]} others (the default)",
    )
    depth.add_argument(
        "--full",
        dest="depth",
        action="store_const",
        const=FULL,
        help=f"the first {FULL[0]} and {FULL[1]} others, within {FULL_SECONDS // 60} minutes",
    )
    depth.add_argument(
        "--all", dest="depth", action="store_const", const=(sys.maxsize, 0), help="every one"
    )
    parser.add_argument("--job", action="append", choices=all_jobs(), metavar="NAME")
    parser.add_argument("--call", action="append", choices=CALLS, metavar="NAME")
    parser.add_argument("--error", action="append", metavar="NAME", help="EIO, short, end...")
    parser.add_argument("--lasts", action="store_true", default=None, help="only those that last")
    parser.add_argument("--at", type=int, metavar="N", help="only this call")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--list", action="store_true", help="print the jobs and calls")
    return parser.parse_args(arguments)


def tell(failure: Failure) -> None:
    """Print a failure as it comes."""
    with _print_lock:
        print(f"FAILED {failure}", flush=True)


def run_job(place: str, kind: JobKind, choice: Choice) -> Tally:
    """Run one job and print what became of it."""
    start = time.perf_counter()
    if kind.slow and (choice.every, choice.sample) == SLICE:
        every, sample = SLICE_OF_SLOW
        choice = replace(choice, every=every, sample=sample)
    tally = JobRun(place, kind, INJECTOR, found=tell).run(choice)
    seconds = time.perf_counter() - start
    with _print_lock:
        print(f"{place.partition(':')[2]:<22}{summary(tally)}  {seconds:.1f} s", flush=True)
    return tally


def summary(tally: Tally) -> str:
    """Return the counts in words."""
    counts = f"{tally.injected:>7,} injected  {tally.left_out:>7,} left out"
    return f"{counts}  {len(tally.failures):>4,} failed"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = parse(arguments)
    jobs = all_jobs()
    if options.list:
        print(f"jobs: {' '.join(jobs)}\ncalls: {' '.join(CALLS)}")
        return 0
    build()
    every, sample = options.depth or SLICE
    lasts = options.lasts if options.lasts or options.at is None else False
    until = time.monotonic() + FULL_SECONDS if (every, sample) == FULL else None
    choice = Choice(
        every,
        sample,
        options.seed,
        options.call or (),
        options.error or (),
        lasts,
        options.at,
        until,
    )
    print(f"--seed {options.seed}", flush=True)
    with ThreadPoolExecutor(options.processes) as pool:
        tallies = list(pool.map(lambda name: run_job(*jobs[name], choice), options.job or jobs))
    total = Tally(
        sum(each.injected for each in tallies),
        sum(each.left_out for each in tallies),
        [failure for each in tallies for failure in each.failures],
    )
    print(f"{'all':<22}{summary(total)}")
    return 1 if total.failures else 0


def build() -> None:
    """Bring the injector up to date."""
    if not (BUILD / "CMakeCache.txt").is_file():
        sys.exit("the injector is built with the C++ tests: tools/setup cpp-tests")
    target = ("--target", "quarrow_fault_injector", "quarrow_planted")
    subprocess.run(["cmake", "--build", BUILD, *target], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
