# SPDX-License-Identifier: Apache-2.0
"""Verdicts on simulated runs whose truth is known; many runs at a time, as arrays."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.changes import (
    CONFIDENCE,
    NOISE,
    SIGNIFICANCE,
    USUAL_DEVIATION,
    power_text,
    rounds_needed,
    sight,
    verdicts,
)
from benchmarks.harness.stats import Rounds, Sight, Values, compare_rounds, holm

RUNS = 1000
SAMPLES = 10
# Rounds differ by 4 %: their processes by 4 % over the square root of two.
USUAL = {"noise": 0.0, "layout": USUAL_DEVIATION / 2**0.5}
# Of processes and their samples: autocorrelated noise, another layout each time, a machine that is
# in a slow state while a process runs or is not.
MACHINES: dict[str, dict[str, float]] = {
    "quiet": {},
    "autocorrelated": {"noise": 0.04, "memory": 0.8},
    "layout": {"noise": 0.01, "layout": 0.03},
    "slow at times": {"noise": 0.02, "layout": 0.03, "slow": 0.2, "times": 1.3},
    "slow half the time": {"noise": 0.02, "layout": 0.03, "slow": 0.5, "times": 1.3},
    "much slower at times": {"noise": 0.02, "layout": 0.03, "slow": 0.1, "times": 3.0},
}


def process_medians(
    random: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    noise: float = 0.01,
    memory: float = 0.5,
    layout: float = 0.0,
    slow: float = 0.0,
    times: float = 1.0,
) -> Values:
    """Return the logarithms of the medians of processes: runs, benchmarks, rounds.

    What the machine does is the same for all benchmarks of a process.
    """
    runs, _, rounds = shape
    samples = random.normal(size=(SAMPLES, *shape))
    for i in range(1, SAMPLES):
        samples[i] = memory * samples[i - 1] + np.sqrt(1 - memory**2) * samples[i]
    states = np.log(times) * (random.random((runs, 1, rounds)) < slow)
    layouts = random.normal(0, layout, shape)
    found: Values = np.median(noise * samples, axis=0) + layouts + states
    return found


def compared(
    change: float, count: int, machine: dict[str, float], noise: float = NOISE
) -> tuple[Rounds, Values]:
    """Return the tests of simulated runs (runs, benchmarks), and how their copies moved."""
    random = np.random.default_rng(0)
    shape = RUNS // max(1, count // 10), 1 + count, rounds_needed(count)
    logs = process_medians(random, shape, **machine) - process_medians(random, shape, **machine)
    logs[:, 1:] += np.log1p(change)
    found = compare_rounds(logs, CONFIDENCE, noise)
    ours = Rounds(*(getattr(found, each.name)[:, 1:] for each in fields(Rounds)))
    return ours, found.mean[:, :1]


def judged(change: float, count: int, machine: dict[str, float]) -> Any:
    """Return the verdicts of simulated runs: runs, benchmarks."""
    ours, shifts = compared(change, count, machine)
    return verdicts(ours, holm(ours.p_value), shifts)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("count", [1, 10])
def test_the_same_build_twice_is_called_changed_in_fewer_than_one_run_of_a_hundred(
    name: str, count: int
) -> None:
    found = judged(0.0, count, MACHINES[name])
    assert np.mean(np.isin(found, ["improved", "regressed"]).any(axis=1)) <= 0.01


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("count", [1, 10])
def test_without_a_threshold_the_p_value_alone_keeps_its_word(name: str, count: int) -> None:
    ours, _ = compared(0.0, count, MACHINES[name], noise=0.0)
    wrong = np.any(holm(ours.p_value) < SIGNIFICANCE, axis=1)
    assert np.mean(wrong) <= 0.05 + 0.021  # three standard deviations of it


@pytest.mark.parametrize("name", ["usual", *MACHINES])
@pytest.mark.parametrize("count", [1, 10, 50])
@pytest.mark.parametrize("change", [NOISE, 0.04, 1 / (1 + NOISE) - 1])
def test_a_change_that_is_nobodys_is_seen_in_fewer_than_one_run_of_twenty(
    name: str, count: int, change: float
) -> None:
    found = judged(change, count, MACHINES.get(name, USUAL))
    wrong = np.isin(found, ["improved", "regressed"]).any(axis=1)
    # An end of the noise is passed on one side only: half of 5 %, and three standard deviations.
    assert np.mean(wrong) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / len(found))


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("count", [1, 10])
def test_a_build_that_takes_eight_times_as_long_is_always_found(name: str, count: int) -> None:
    assert (judged(7.0, count, MACHINES[name]) == "regressed").all()
    assert (judged(1 / 8 - 1, count, MACHINES[name]) == "improved").all()


@pytest.mark.parametrize("count", [1, 4, 10, 50, 100, 300])
@pytest.mark.parametrize("change", [0.1, 1 / 1.1 - 1])
def test_a_change_of_a_tenth_is_found_in_nine_runs_of_ten(count: int, change: float) -> None:
    found = judged(change, count, USUAL)
    share = np.mean(found == ("regressed" if change > 0 else "improved"))
    # Three standard deviations of so many runs.
    assert share >= 0.9 - 3 * np.sqrt(0.9 * 0.1 / found.size)


def test_samples_that_vary_by_four_percent_hide_no_tenth() -> None:
    assert np.mean(judged(0.1, 10, {"noise": 0.04, "memory": 0.5}) == "regressed") >= 0.9


def test_a_quiet_machine_says_that_nothing_changed() -> None:
    assert np.mean(judged(0.0, 10, MACHINES["layout"]) == "no change") > 0.99


def test_what_cannot_be_seen_is_inconclusive() -> None:
    found = judged(0.1, 10, MACHINES["slow half the time"])
    assert np.mean(np.isin(found, ["inconclusive", "drift"])) > 0.9
    assert np.mean(found == "no change") < 0.025


def test_a_machine_that_favours_one_build_is_no_change_of_it() -> None:
    # All benchmarks and their copy took 1.2 times as long with one of the builds.
    random = np.random.default_rng(3)
    logs = np.log(1.2) + random.normal(0, 0.02, (RUNS, 2, 10))
    found = compare_rounds(logs, CONFIDENCE, NOISE)
    ours = Rounds(*(getattr(found, each.name)[:, 1:] for each in fields(Rounds)))
    shifts = found.mean[:, :1]
    assert (verdicts(ours, holm(ours.p_value), shifts) == "drift").all()
    # A copy that got faster explains nothing, nor does one that moved by less than the change.
    for shift in (-shifts, np.full_like(shifts, np.log(1.06))):
        assert (verdicts(ours, holm(ours.p_value), shift) == "regressed").all()


@pytest.mark.parametrize(("rounds", "deviation"), [(6, 0.02), (10, 0.04), (20, 0.1)])
@pytest.mark.parametrize("level", [0.05, 0.0005])
def test_power_is_what_simulated_runs_show(rounds: int, deviation: float, level: float) -> None:
    logs = np.random.default_rng(5).normal(np.log(1.1), deviation, (10_000, rounds))
    seen = compare_rounds(logs, CONFIDENCE, NOISE).p_value < level
    said = Sight(level, NOISE, 0.9).sees(rounds, 0.1, deviation)
    assert said == pytest.approx(np.mean(seen), abs=0.016)


@pytest.mark.parametrize(
    ("count", "rounds"), [(1, 10), (4, 14), (10, 17), (50, 21), (100, 23), (300, 26)]
)
def test_rounds_are_as_many_as_the_change_needs(count: int, rounds: int) -> None:
    seen, needed = sight(count), rounds_needed(count)
    assert needed == rounds
    assert seen.sees(needed, 0.1, USUAL_DEVIATION) >= 0.9
    assert seen.sees(needed - 1, 0.1, USUAL_DEVIATION) < 0.9
    assert seen.rounds_for(0.1, 10.0, range(6, 200)) is None
    smallest = seen.smallest_change(needed, USUAL_DEVIATION)
    assert seen.sees(needed, smallest, USUAL_DEVIATION) == pytest.approx(0.9)


def test_a_run_says_before_what_it_will_see_and_after_what_it_saw() -> None:
    assert power_text(17, 10) == (
        "17 rounds of two processes: a change of 10 % is seen in 9 of 10 runs where rounds"
        " differ by up to 4 %"
    )
    assert "6 rounds of two processes: a change of 18 % is seen" in power_text(6, 10)
    assert power_text(17, 10, 0.1).endswith("differ by 10.0 %, as half of these did at most")
    assert "a change of 18 % is seen" in power_text(17, 10, 0.1)
    assert "a change of 6 % is seen" in power_text(17, 10, 0.0)
