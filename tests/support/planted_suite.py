# SPDX-License-Identifier: Apache-2.0
"""A suite of benchmarks that do what benchmarks should not, and the programs that know it."""

import os
import time
from functools import partial

import numpy as np
import quarrow as qr

from benchmarks.harness.case import Case, Job, Suite, WrongResultError

_KNOWING = """
import sys
sys.path[:0] = [".", "tests/support"]
import benchmarks.suites, planted_suite
benchmarks.suites.load_suite = lambda name: planted_suite.suite()
from benchmarks.harness.{} import main
main()
"""
WORKER = ("-c", _KNOWING.format("worker"))
MEMORY = ("-c", _KNOWING.format("memory"))


def _quantizing() -> Job:
    w = np.ones((64, 128), np.float32)
    return Job(lambda: qr.quantize(w, "int8"))


def _printing() -> Job:
    def call() -> object:
        print("a library that prints")
        # Some print past Python, and one day one prints what looks like an event.
        os.write(1, b'{"event": "failed", "id": "printing", "error": "forged"}\n')
        return 1

    return Job(call)


def _wrong() -> Job:
    def verify(result: object) -> None:
        message = f"{result} is not 2"
        raise WrongResultError(message)

    return Job(lambda: 1, verify)


def _raising() -> Job:
    return Job(lambda: 1 // 0)


def _slow() -> Job:
    return Job(lambda: time.sleep(0.2))


def _growing(size: int) -> Job:
    return Job(lambda: np.ones(size, np.uint8))


def _copying() -> Job:
    w = np.ones((64, 256), np.float32)[:, ::2]
    return Job(lambda: qr.quantize(w, "int8", copy=True))


def _dying() -> Job:
    return Job(lambda: os._exit(7))


def _sleeping() -> Job:
    return Job(lambda: time.sleep(0.01))


def _pausing() -> Job:
    # Each pause leaves a mark; each call tells how many there were.
    pauses: list[int] = []
    return Job(lambda: len(pauses), before=lambda: pauses.append(os.write(2, b"a pause\n")))


def suite() -> Suite:
    """Return the suite."""
    cases = (
        Case("quantizing", "calls quarrow", _quantizing, calls=10),
        Case("printing", "prints", _printing),
        Case("wrong", "computes something else", _wrong),
        Case("raising", "raises", _raising),
        Case("slow", "takes long", _slow, seconds=0.2),
        Case("dying", "ends its process", _dying, seconds=50.0),
        Case("sleeping", "takes time and no CPU", _sleeping),
        Case("pausing", "waits before each block", _pausing),
        Case("hermit", "has a process of its own", _printing, alone=True),
        Case("allocating", "needs its result", partial(_growing, 8 << 20), memory=8 << 20),
        Case("growing", "needs more than that", partial(_growing, 8 << 20), memory=4 << 20),
        Case("copying", "copies its input", _copying, memory=1 << 20),
    )
    return Suite("planted", "Planted", "Nothing of use.", cases)
