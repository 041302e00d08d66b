# SPDX-License-Identifier: Apache-2.0

from typing import Any

import numpy as np
import pytest
import scipy.stats

from benchmarks.harness.stats import (
    estimate,
    holm,
    interval,
    paired_ratio,
    resampled_medians,
    seed_of,
    two_sided_p,
)

RANDOM = np.random.default_rng


@pytest.mark.parametrize("count", [1, 2, 5, 30, 101])
def test_resampled_medians_are_distributed_as_those_of_drawn_samples(count: Any) -> None:
    x = np.exp(RANDOM(count).normal(size=count))
    drawn = np.median(RANDOM(1).choice(x, (20_000, count)), axis=1)
    by_rank = resampled_medians([x], 20_000, RANDOM(2))
    # Kolmogorov's distance; 0.02 is one in ten thousand for as many draws.
    assert scipy.stats.ks_2samp(by_rank, drawn).statistic < 0.022


@pytest.mark.parametrize("count", [20, 21, 100])
def test_an_interval_covers_the_median_as_often_as_it_says(count: Any) -> None:
    hits = 0
    for seed in range(400):
        x = np.exp(RANDOM(seed).normal(0, 0.5, count))
        found = interval(float(np.median(x)), resampled_medians([x], 2_000, RANDOM(seed)), 0.95)
        hits += found.low <= 1.0 <= found.high
    # Three standard deviations of a binomial around 95 %, and a percentile interval's own bias.
    assert 0.90 <= hits / 400 <= 0.99


def test_an_interval_is_near_that_of_scipy() -> None:
    x = RANDOM(3).gamma(4, size=60)
    ours = interval(float(np.median(x)), resampled_medians([x], 50_000, RANDOM(4)), 0.95)
    theirs = scipy.stats.bootstrap(
        (x,), np.median, n_resamples=20_000, method="percentile", rng=RANDOM(5)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, rel=0.03)
    assert ours.high == pytest.approx(theirs.high, rel=0.03)


def test_samples_of_one_process_are_not_witnesses_of_another() -> None:
    # Five processes that differ by far more than their samples among themselves.
    processes = [RANDOM(i).normal(100 + 10 * i, 0.1, 20) for i in range(5)]
    by_process = interval(120, resampled_medians(processes, 20_000, RANDOM(0)), 0.95)
    pooled = interval(120, resampled_medians([np.concatenate(processes)], 20_000, RANDOM(0)), 0.95)
    assert by_process.high - by_process.low > 1.5 * (pooled.high - pooled.low)


def test_processes_may_have_different_numbers_of_samples() -> None:
    processes = [np.full(3, 1.0), np.full(4, 1.0)]
    assert set(resampled_medians(processes, 100, RANDOM(0))) == {1.0}


def test_an_estimate_says_what_numpy_says() -> None:
    x = np.array([1.0, 1.1, 1.2, 1.3, 9.0])
    found = estimate([x], resampled_medians([x], 1000, RANDOM(0)), 0.95)
    assert found.median.value == 1.2
    assert found.mean == pytest.approx(np.mean(x))
    assert found.deviation == pytest.approx(np.std(x, ddof=1))
    assert found.median_absolute_deviation == pytest.approx(0.1)
    assert (found.minimum, found.maximum, found.samples) == (1.0, 9.0, 5)
    assert (found.outliers, found.severe_outliers) == (1, 1)


def test_one_sample_is_described_too() -> None:
    x = np.array([2.0])
    found = estimate([x], resampled_medians([x], 1000, RANDOM(0)), 0.95)
    assert (found.median.low, found.median.high, found.deviation) == (2.0, 2.0, 0.0)


def test_p_values_count_both_sides() -> None:
    assert two_sided_p(np.linspace(0.5, 1.5, 1000)) > 0.9
    assert two_sided_p(np.linspace(1.01, 1.5, 1000)) < 0.01
    assert two_sided_p(np.linspace(0.5, 0.99, 1000)) < 0.01


def test_rounds_are_the_witnesses_of_a_paired_ratio() -> None:
    # The machine gets slower from round to round, both builds with it.
    drift = np.linspace(1, 2, 8)
    new = [RANDOM(i).normal(1.1 * d, 0.005, 10) for i, d in enumerate(drift)]
    base = [RANDOM(100 + i).normal(1.0 * d, 0.005, 10) for i, d in enumerate(drift)]
    ratio, p_value = paired_ratio(new, base, 0.95)
    assert ratio.low < 1.1 < ratio.high
    assert ratio.high - ratio.low < 0.02
    assert p_value < 1e-6


def test_equal_rounds_have_no_difference() -> None:
    rounds = [np.ones(3), np.ones(3), np.ones(3)]
    ratio, p_value = paired_ratio(rounds, rounds, 0.95)
    assert (ratio.value, ratio.low, ratio.high, p_value) == (1, 1, 1, 1)


def test_holm_is_the_step_down_method() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_random_numbers_depend_on_the_name_alone() -> None:
    assert seed_of("a").random() == seed_of("a").random()
    assert seed_of("a").random() != seed_of("b").random()
