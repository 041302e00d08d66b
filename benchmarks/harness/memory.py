# SPDX-License-Identifier: Apache-2.0
"""Proofs about memory: nothing is copied, and the peak grows by the result alone.

Each benchmark that promises something runs in a fresh process where every large block is mapped by
itself (MALLOC_MMAP_THRESHOLD_): a heap that is kept for later would hide a copy. Nothing is timed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.case import Suite
from benchmarks.harness.engine import ROOT
from benchmarks.harness.google_json import BenchmarkFailedError
from benchmarks.suites import load_suite

# Of the process beside the data: pages of code that run for the first time, small allocations.
SLACK = 1 << 20
PROGRAM = ("-m", "benchmarks.harness.memory")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Proof:
    id: str
    peak: int  # bytes by which the call raised the peak of the process
    allowed: int  # bytes that the case allows: those of its result
    copied: int  # bytes of the input that quarrow says it copied

    @property
    def holds(self) -> bool:
        return self.copied == 0 and self.peak <= self.allowed + SLACK


def _kilobytes(name: str) -> int:
    lines = (line.split() for line in _STATUS.read_text(encoding="ascii").splitlines())
    return next(int(words[1]) for words in lines if words[0] == f"{name}:")


def peak_growth(call: Callable[[], object]) -> tuple[int, object]:
    """Return by how many bytes a call raises the peak of this process, and its result."""
    # 5: forget the peak so far.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _kilobytes("VmRSS")
    result = call()
    return max(0, _kilobytes("VmHWM") - before) * 1024, result


def prove(suite: Suite, wanted: Callable[[str], bool]) -> Iterator[Proof]:
    """Measure each benchmark that promises something, in a process of its own."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "0"}
    for case in suite.cases:
        if case.memory is None or not wanted(case.id):
            continue
        command = [sys.executable, *PROGRAM, suite.name, case.id]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
            message = f"{suite.name}/{case.id}: {last}"
            raise BenchmarkFailedError(message)
        yield Proof(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    suite, id_ = sys.argv[1:3]
    (case,) = [each for each in load_suite(suite).cases if each.id == id_]
    job = case.prepare()
    job.verify(job.call())  # imports, thread pools and caches are made now
    peak, result = peak_growth(job.call)
    copied = sum(stats.bytes_copied for stats in job.stats(result))
    print(json.dumps(vars(Proof(case.id, peak, case.memory or 0, copied))))


if __name__ == "__main__":
    main()
