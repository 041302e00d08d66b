# SPDX-License-Identifier: Apache-2.0
"""Medians, their intervals, and what a change is worth.

Samples of one process are taken at random among themselves. Samples of several processes are taken
process by process first: those of one process share its memory layout and its moment, so a hundred
of them are not a hundred witnesses.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Values = NDArray[np.float64]
# Of resampled values in memory at a time.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval; `low` and `high` are NaN where none can be had."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Tell whether there is an interval, and not a bare value."""
        return not math.isnan(self.low)

    def scaled(self, factor: float) -> "Interval":
        """Return the same in another unit."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Estimate:
    """What the samples of one benchmark say."""

    median: Interval
    mean: float
    deviation: float
    median_absolute_deviation: float
    minimum: float
    maximum: float
    samples: int
    outliers: int  # beyond Tukey's fences, 1.5 quartile distances out
    severe_outliers: int  # 3 quartile distances out


def seed_of(name: str) -> np.random.Generator:
    """Return random numbers that depend on a name alone, so that a report is repeatable."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def resampled_medians(
    processes: Sequence[Values], count: int, random: np.random.Generator
) -> Values:
    """Return the medians of `count` bootstrap resamples.

    For one process the law is known, and no resample is made: the k-th smallest of n values drawn
    from sorted x is x[ceil(n U)] with U from Beta(k, n + 1 - k), the k-th smallest of n uniforms.
    """
    if len(processes) == 1:
        return _medians_by_rank(np.sort(processes[0]), count, random)
    # Processes have as many samples each but for a remainder.
    size = min(len(each) for each in processes)
    lengths = np.array([len(each) for each in processes])
    starts = np.cumsum(lengths) - lengths
    values = np.concatenate(processes)
    block = max(1, _BLOCK // (size * len(processes)))
    medians = []
    for start in range(0, count, block):
        rows = min(block, count - start)
        chosen = random.integers(0, len(processes), (rows, len(processes), 1))
        picks = random.random((rows, len(processes), size)) * lengths[chosen]
        drawn = values[starts[chosen] + picks.astype(np.int64)]
        medians.append(np.median(drawn.reshape(rows, -1), axis=1))
    return np.concatenate(medians)


def _medians_by_rank(x: Values, count: int, random: np.random.Generator) -> Values:
    n = len(x)
    if n % 2:
        middle = (n + 1) // 2
        uniform = random.beta(middle, n + 1 - middle, count)
        return x[np.ceil(uniform * n).astype(np.int64) - 1]
    upper = random.beta(n // 2 + 1, n - n // 2, count)
    # The largest of n/2 uniforms below `upper`.
    lower = upper * random.random(count) ** (2 / n)
    ranks = [np.ceil(each * n).astype(np.int64) - 1 for each in (lower, upper)]
    return (x[ranks[0]] + x[ranks[1]]) / 2


def interval(value: float, resampled: Values, confidence: float) -> Interval:
    """Return the percentile interval of resampled values."""
    tail = (1 - confidence) / 2
    # No values in between: some ratios are infinite.
    low, high = np.quantile(resampled, [tail, 1 - tail], method="nearest")
    return Interval(value, float(low), float(high))


def estimate(processes: Sequence[Values], resampled: Values, confidence: float) -> Estimate:
    """Describe the samples of one benchmark."""
    x = np.concatenate(processes)
    first, third = np.quantile(x, [0.25, 0.75])
    beyond = np.maximum(first - x, x - third) / max(float(third - first), np.finfo(float).tiny)
    return Estimate(
        median=interval(float(np.median(x)), resampled, confidence),
        mean=float(np.mean(x)),
        deviation=float(np.std(x, ddof=1)) if len(x) > 1 else 0.0,
        median_absolute_deviation=float(scipy.stats.median_abs_deviation(x)),
        minimum=float(x.min()),
        maximum=float(x.max()),
        samples=len(x),
        outliers=int(np.count_nonzero(beyond > 1.5)),
        severe_outliers=int(np.count_nonzero(beyond > 3)),
    )


def fewest_for(confidence: float) -> int:
    """Return how many samples the range of all must have to cover the median so surely.

    All n samples lie on one side of it with probability 2 ** (1 - n).
    """
    return 1 + math.ceil(-math.log2(1 - confidence))


def exact_p(new: Sequence[Values], base: Sequence[Values]) -> float:
    """Return the p-value of Mann and Whitney's test: exact where samples are few.

    Each process is one witness where there are several; a bootstrap of a handful of values knows
    no doubt, and this does.
    """
    if len(new) > 1 and len(base) > 1:
        witnesses = [np.array([np.median(x) for x in each]) for each in (new, base)]
    else:
        witnesses = [np.concatenate(each) for each in (new, base)]
    return float(scipy.stats.mannwhitneyu(*witnesses).pvalue)


def two_sided_p(resampled: Values) -> float:
    """Return how often a resampled ratio lies on the other side of 1, both sides counted."""
    below = np.count_nonzero(resampled <= 1)
    above = np.count_nonzero(resampled >= 1)
    return min(1.0, 2 * (min(below, above) + 1) / (len(resampled) + 1))


def paired_ratio(
    new: Sequence[Values], base: Sequence[Values], confidence: float
) -> tuple[Interval, float]:
    """Return the ratio of medians over rounds of two processes, and its p-value.

    Each round is one witness: the t-test on the logarithms of the rounds' ratios.
    """
    logs = np.log([np.median(a) / np.median(b) for a, b in zip(new, base, strict=True)])
    if np.ptp(logs) == 0:
        ratio = float(np.exp(logs[0]))
        return Interval(ratio, ratio, ratio), float(ratio == 1)
    result = scipy.stats.ttest_1samp(logs, 0.0)
    bounds = result.confidence_interval(confidence)
    middle = float(np.exp(np.mean(logs)))
    return Interval(middle, float(np.exp(bounds.low)), float(np.exp(bounds.high))), float(
        result.pvalue
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm's step-down method)."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for step, index in enumerate(order):
        largest = max(largest, (len(p_values) - step) * p_values[index])
        adjusted[index] = min(1.0, largest)
    return [float(each) for each in adjusted]
