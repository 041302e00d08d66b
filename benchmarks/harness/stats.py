# SPDX-License-Identifier: Apache-2.0
"""Medians, their intervals, and what rounds of two processes can tell apart.

Samples of one process share its memory layout and its moment: where there are several processes,
each is one witness, with the median of its samples.
"""

import functools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval; `low` and `high` are NaN where none can be had."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        return not math.isnan(self.low)

    def numbers(self) -> list[float | None]:
        """Return value, low and high for JSON, which has no NaN."""
        return [self.value, *([self.low, self.high] if self.known else [None, None])]

    def scaled(self, factor: float) -> "Interval":
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def inverse(self, factor: float = 1.0) -> "Interval":
        """Return a factor divided by this: a throughput from a time."""
        return Interval(factor / self.value, factor / self.high, factor / self.low)


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


def witnesses(processes: Sequence[Values]) -> Values:
    """Return the samples of one process, or of several the median of each."""
    one = len(processes) == 1
    return processes[0] if one else np.array([np.median(each) for each in processes])


@functools.cache
def median_ranks(count: int, confidence: float) -> tuple[int, int] | None:
    """Return which of so many sorted values bound the median, from 0; None where none do."""
    # Which they are depends on the number of values alone.
    ranks = np.arange(count, dtype=float)
    test = scipy.stats.quantile_test(ranks, q=float(np.median(ranks)), p=0.5)
    bounds = test.confidence_interval(confidence)
    return None if np.isnan(bounds.low + bounds.high) else (int(bounds.low), int(bounds.high))


def median_interval(values: Values, confidence: float) -> Interval:
    """Return a median with an interval that covers the true one at least so often."""
    ranks = median_ranks(len(values), confidence)
    ends = np.sort(values)[list(ranks)].tolist() if ranks else []
    return Interval(float(np.median(values)), *ends)


def difference(one: Interval, *others: Interval) -> Interval:
    """Return one less all others (MOVER: Zou and Donner, 2008)."""
    value = one.value - sum(each.value for each in others)
    below = [one.value - one.low, *(each.high - each.value for each in others)]
    above = [one.high - one.value, *(each.value - each.low for each in others)]
    return Interval(value, value - math.hypot(*below), value + math.hypot(*above))


def quotient(one: Interval, other: Interval) -> Interval:
    """Return the ratio of two positive figures: the difference of their logarithms."""
    ratio = one.value / other.value if other.value else math.nan
    if min(one.value, other.value) <= 0:
        return Interval(ratio)
    logs = difference(_logarithm(one), _logarithm(other))
    return Interval(ratio, math.exp(logs.low), math.exp(logs.high))


def _logarithm(of: Interval) -> Interval:
    return Interval(*(math.log(x) if x > 0 else math.nan for x in (of.value, of.low, of.high)))


def estimate(processes: Sequence[Values], confidence: float) -> Estimate:
    x = np.concatenate(processes)
    first, third = np.quantile(x, [0.25, 0.75])
    beyond = np.maximum(first - x, x - third) / max(float(third - first), np.finfo(float).tiny)
    return Estimate(
        median=median_interval(witnesses(processes), confidence),
        mean=float(np.mean(x)),
        deviation=float(np.std(x, ddof=1)) if len(x) > 1 else 0.0,
        median_absolute_deviation=float(scipy.stats.median_abs_deviation(x)),
        minimum=float(x.min()),
        maximum=float(x.max()),
        samples=len(x),
        outliers=int(np.count_nonzero(beyond > 1.5)),
        severe_outliers=int(np.count_nonzero(beyond > 3)),
    )


@dataclass(frozen=True)
class Rounds:
    """What rounds of two processes agree on, each one witness; arrays over many comparisons."""

    mean: Values  # of the logarithms of new to base
    low: Values
    high: Values
    p_value: Values  # of a change within the noise
    deviation: Values

    @property
    def ratio(self) -> Interval:
        return Interval(*(math.exp(each) for each in (self.mean, self.low, self.high)))


def compare_rounds(logs: Values, confidence: float, noise: float) -> Rounds:
    """Return Student's t-test of the logarithms of ratios; the last axis is that of the rounds.

    It tests that the true change lies within the noise, at its end where that is likeliest.
    """
    count = logs.shape[-1]
    mean, deviation = np.mean(logs, axis=-1), np.std(logs, axis=-1, ddof=1)
    # Rounds that are all the same have no error, and no difference either where they are 0.
    error = np.maximum(deviation / math.sqrt(count), np.finfo(float).tiny)
    half = error * _t(1 - confidence, count - 1)
    beyond = (np.abs(mean) - math.log1p(noise)) / error
    p_value = np.minimum(2 * scipy.stats.t.sf(beyond, count - 1), 1.0)
    return Rounds(mean, mean - half, mean + half, p_value, deviation)


def holm(p_values: Values) -> Values:
    """Adjust p-values for their number (Holm's step-down method), along the last axis."""
    order = np.argsort(p_values, axis=-1)
    factors = np.arange(p_values.shape[-1], 0, -1)
    steps = np.maximum.accumulate(np.take_along_axis(p_values, order, -1) * factors, axis=-1)
    return np.take_along_axis(np.minimum(steps, 1.0), np.argsort(order, axis=-1), -1)


@functools.cache
def _t(tail: float, freedom: int) -> float:
    return float(scipy.stats.t.isf(tail / 2, freedom))


@functools.cache
def _spreads(freedom: int) -> Values:
    """Return what a deviation is found to be, as shares of the true one, each as likely."""
    shares: Values = scipy.stats.chi2.ppf((np.arange(200) + 0.5) / 200, freedom) / freedom
    return np.sqrt(shares)


@dataclass(frozen=True)
class Sight:
    """What a verdict asks for: a p-value of the noise below `level`."""

    level: float  # of the smallest p-value: the significance shared by all comparisons
    noise: float
    power: float  # how often a change is to be seen

    def sees(self, rounds: int, change: float, deviation: float) -> float:
        """Return how often rounds whose logarithms deviate so much see a change of such a share."""
        freedom, error = rounds - 1, deviation / math.sqrt(rounds)
        found = error * _spreads(freedom)
        needed = math.log1p(self.noise) + _t(self.level, freedom) * found
        return float(np.mean(scipy.stats.norm.sf((needed - math.log1p(change)) / error)))

    def rounds_for(self, change: float, deviation: float, counts: range) -> int | None:
        """Return the smallest of these numbers of rounds that sees a change, or None."""
        index = bisect_left(counts, self.power, key=lambda n: self.sees(n, change, deviation))
        return counts[index] if index < len(counts) else None

    def smallest_change(self, rounds: int, deviation: float) -> float:
        """Return the smallest change that so many rounds see."""
        deviation = max(deviation, 1e-6)  # rounds that are all the same have none

        def lacking(log: float) -> float:
            return self.sees(rounds, math.expm1(log), deviation) - self.power

        # The upper end is far beyond what any deviation hides.
        far = math.log1p(self.noise) + 30 * deviation
        return math.expm1(scipy.optimize.brentq(lacking, 0.0, far))
