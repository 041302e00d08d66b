# SPDX-License-Identifier: Apache-2.0

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats

from benchmarks.harness.stats import (
    Interval,
    compare_rounds,
    difference,
    estimate,
    holm,
    median_interval,
    median_ranks,
    quotient,
    witnesses,
)

RANDOM = np.random.default_rng
DRAWS = 20_000


@pytest.mark.parametrize("count", range(1, 13))
def test_an_interval_covers_the_median_as_often_as_it_says_or_there_is_none(count: int) -> None:
    # Skewed, as times are; their median is 1.
    x = np.sort(np.exp(RANDOM(count).normal(0, 0.5, (DRAWS, count))), axis=1)
    ranks = median_ranks(count, 0.95)
    assert (ranks is None) == (count < 6)
    if ranks is not None:
        low, high = ranks
        covered = np.mean((x[:, low] <= 1) & (x[:, high] >= 1))
        # Three standard deviations of 20,000 draws.
        assert covered >= 0.95 - 0.005
        found = median_interval(x[0], 0.95)
        assert (found.low, found.value, found.high) == (x[0, low], np.median(x[0]), x[0, high])


@pytest.mark.parametrize("count", [1, 5])
def test_few_samples_have_no_interval(count: int) -> None:
    found = median_interval(np.arange(1.0, count + 1), 0.95)
    assert not found.known
    assert found.value == (count + 1) / 2
    assert found.numbers() == [found.value, None, None]


@pytest.mark.parametrize("count", [6, 12, 100])
def test_intervals_of_ratios_and_differences_cover_too(count: int) -> None:
    ranks = median_ranks(count, 0.95)
    assert ranks is not None
    x, y = np.sort(np.exp(RANDOM(count).normal(0, 0.3, (2, 2000, count))), axis=2)

    def of(values: Any) -> Interval:
        return Interval(float(np.median(values)), *(float(values[rank]) for rank in ranks))

    pairs = [(of(a), of(b)) for a, b in zip(x, y, strict=True)]
    ratios = [quotient(a, b) for a, b in pairs]
    differences = [difference(a, b) for a, b in pairs]
    assert np.mean([each.low <= 1 <= each.high for each in ratios]) >= 0.94
    assert np.mean([each.low <= 0 <= each.high for each in differences]) >= 0.94
    # An interval that covers everything would cover too.
    assert np.mean([each.low <= 0.5 for each in ratios]) < (0.5 if count == 6 else 0.05)


def test_a_difference_adds_the_doubts_of_both_sides() -> None:
    found = difference(Interval(10, 7, 14), Interval(4, 1, 8), Interval(1, 1, 1))
    assert (found.value, found.low, found.high) == (5, 5 - math.hypot(3, 4), 5 + math.hypot(4, 3))


def test_a_ratio_and_its_inverse_say_the_same() -> None:
    one, other = Interval(10, 8, 13), Interval(4, 3, 4.5)
    found, turned = quotient(one, other), quotient(other, one)
    assert found.value == 2.5
    assert (found.low, found.high) == pytest.approx((1 / turned.high, 1 / turned.low))
    assert found.inverse(3.0).numbers() == pytest.approx(turned.scaled(3.0).numbers())


def test_a_part_without_an_interval_leaves_none() -> None:
    known, bare = Interval(2, 1, 3), Interval(2)
    for found in (difference(known, bare), quotient(known, bare), quotient(bare, known)):
        assert not found.known
    assert quotient(known, bare).value == 1
    assert not quotient(known, Interval(-1, -2, 1)).known


def test_samples_of_one_process_are_not_witnesses_of_another() -> None:
    # Six processes that differ by far more than their samples among themselves.
    processes = [RANDOM(i).normal(100 + 10 * i, 0.1, 20) for i in range(6)]
    found = estimate(processes, 0.95)
    assert found.median.low == pytest.approx(100, abs=0.2)
    assert found.median.high == pytest.approx(150, abs=0.2)
    assert found.samples == 120
    assert len(witnesses(processes)) == 6
    assert len(witnesses(processes[:1])) == 20


def test_an_estimate_says_what_numpy_says() -> None:
    x = np.array([1.0, 1.1, 1.2, 1.3, 9.0])
    found = estimate([x], 0.95)
    assert found.median.value == 1.2
    assert found.mean == pytest.approx(np.mean(x))
    assert found.deviation == pytest.approx(np.std(x, ddof=1))
    assert found.median_absolute_deviation == pytest.approx(0.1)
    assert (found.minimum, found.maximum, found.samples) == (1.0, 9.0, 5)
    assert (found.outliers, found.severe_outliers) == (1, 1)
    assert estimate([x[:1]], 0.95).deviation == 0.0


def test_rounds_are_tested_as_scipy_tests_them() -> None:
    logs = RANDOM(1).normal(0.1, 0.05, (4, 9))
    found = compare_rounds(logs, 0.95, 0.0)
    theirs = scipy.stats.ttest_1samp(logs, 0.0, axis=-1)
    bounds = theirs.confidence_interval(0.95)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert found.low == pytest.approx(bounds.low)
    assert found.high == pytest.approx(bounds.high)
    one = compare_rounds(logs[0], 0.95, 0.0)
    assert one.ratio.value == pytest.approx(math.exp(logs[0].mean()))


def test_a_change_is_tested_from_where_the_noise_ends() -> None:
    logs = RANDOM(2).normal(0.1, 0.05, (4, 9))
    theirs = scipy.stats.ttest_1samp(logs, math.log(1.05), axis=-1)
    assert compare_rounds(logs, 0.95, 0.05).p_value == pytest.approx(
        np.where(theirs.statistic > 0, theirs.pvalue, 1.0)
    )


def test_equal_rounds_leave_no_doubt() -> None:
    same = compare_rounds(np.zeros(6), 0.95, 0.05)
    assert [same.ratio.low, same.ratio.high, float(same.p_value)] == [1, 1, 1]
    apart = compare_rounds(np.full(6, math.log(2)), 0.95, 0.05)
    assert apart.p_value == 0
    assert apart.ratio.numbers() == pytest.approx([2, 2, 2])


def test_holm_is_the_step_down_method() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([[0.9, 0.8], [0.01, 0.03]])).tolist() == [[1.0, 1.0], [0.02, 0.03]]
    assert holm(np.array([])).tolist() == []
