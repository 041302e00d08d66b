# SPDX-License-Identifier: Apache-2.0
"""Interleaved measurements and the ratios that follow from them."""

import gc
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

_RESAMPLES = 2000


@dataclass
class Case:
    """Something to time: a call, and how many calls make one sample."""

    name: str
    call: Callable[[], object]
    calls: int = 1
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Ratio:
    """A median with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def sample(case: Case) -> tuple[float, float]:
    """Time one sample: wall seconds, and CPU seconds of this thread, of one call.

    The result is dropped after the clocks are read: freeing it is no part of the call.
    """
    result: object = None
    cpu = time.thread_time()
    wall = time.perf_counter()
    for _ in range(case.calls):
        result = case.call()
    elapsed = time.perf_counter() - wall
    used = time.thread_time() - cpu
    del result
    return elapsed / case.calls, used / case.calls


def run_rounds(cases: Sequence[Case], rounds: int, seed: int = 0) -> None:
    """Time every case once a round, in a new order each round, after one round to warm up.

    One after the other, two runs of the same code differ by more than the differences looked for;
    within a round they meet the same noise.
    """
    order = list(cases)
    shuffle = random.Random(seed)
    for case in order:
        sample(case)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            shuffle.shuffle(order)
            for case in order:
                wall, cpu = sample(case)
                case.wall.append(wall)
                case.cpu.append(cpu)
    finally:
        gc.enable()


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """Median of the ratios of samples of the same round."""
    ratios = np.asarray(numerator) / np.asarray(denominator)
    random_numbers = np.random.default_rng(0)
    picks = random_numbers.integers(0, len(ratios), (_RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[picks], axis=1), [0.025, 0.975])
    return Ratio(float(np.median(ratios)), float(low), float(high))


def verdict(measured: Ratio, target: float) -> str:
    """Compare a ratio with the most that it may be."""
    if measured.high <= target:
        return "met"
    if measured.low > target:
        return "missed"
    return "undecided"


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    name: str
    milliseconds: float
    measured: Ratio
    unit: str
    target: float | None = None

    def __str__(self) -> str:
        goal = ""
        if self.target is not None:
            goal = f"<= {self.target:g}: {verdict(self.measured, self.target)}"
        figures = f"{self.milliseconds:10.4f}  {self.measured!s:>22}"
        return f"{self.name:42} {figures} {self.unit:18} {goal}".rstrip()
