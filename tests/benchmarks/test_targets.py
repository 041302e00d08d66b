# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.case import Case, run_by_program
from benchmarks.harness.changes import Doubt
from benchmarks.harness.stats import Interval
from benchmarks.harness.store import Record, Sample, described
from benchmarks.harness.targets import (
    Figures,
    Target,
    TargetError,
    achieved,
    outcomes,
    read_targets,
)
from benchmarks.suites import NAMES

DOUBT = Doubt(resamples=2000)


def record(id_: Any, walls: Any, *, cpu: Any = 1.0, stages: Any = None, run: str = "run") -> Any:
    samples = [
        Sample(0, wall, cpu * wall, 1, {f"stage_{k}": v * wall for k, v in (stages or {}).items()})
        for wall in walls
    ]
    case = described(Case(id_, id_, run_by_program))
    return Record("s", case, samples, run, {"samples": len(samples)})


def figures(**walls: Any) -> Any:
    records = {f"s/{name}": value for name, value in walls.items()}
    return Figures(records.get, DOUBT)


def values(median: Any, count: Any = 50) -> Any:
    return list(np.random.default_rng(0).normal(median, 0.01 * median, count))


def target(
    rule: str = "value", of: tuple[str, ...] = ("s/a",), unit: str = "us", **rest: Any
) -> Target:
    return Target("metric", rule, of, unit, **({"at_most": 1.0} | rest))


A = record("a", values(6e-6))
B = record("b", values(2e-6), cpu=2.0)
C = record("c", values(1e-6))


@pytest.mark.parametrize(
    ("rule", "of", "unit", "rest", "value"),
    [
        ("value", ("s/a",), "us", {}, 6.0),
        ("value", ("s/a",), "ms", {}, 6e-3),
        ("ratio", ("s/a", "s/b"), "x", {}, 3.0),
        ("ratio", ("s/a", "s/b"), "x", {"clock": "cpu"}, 1.5),
        ("ratio", ("s/a", "s/b"), "x", {"spare": 2e-6}, 2.0),
        ("times", ("s/b", "s/a"), "x", {}, 3.0),
        ("overhead", ("s/b", "s/c", "s/a", "s/b"), "x", {}, 4.0),
        ("difference", ("s/a", "s/b", "s/c"), "us", {}, 3.0),
        ("slope", ("s/a", "s/b"), "us", {"divide": 8}, 0.5),
    ],
)
def test_a_rule_makes_of_the_medians_what_it_says(
    rule: Any, of: Any, unit: Any, rest: Any, value: Any
) -> None:
    found = achieved(target(rule, of, unit, **rest), figures(a=A, b=B, c=C))
    assert found.value == pytest.approx(value, rel=0.02)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.1 * value


def test_less_than_nothing_is_less_by_any_factor() -> None:
    found = achieved(target("overhead", ("s/c", "s/b", "s/a", "s/b"), "x"), figures(a=A, b=B, c=C))
    assert (found.value, found.low) == (np.inf, np.inf)


@pytest.mark.parametrize(("count", "state"), [(1, "undecided"), (5, "undecided"), (6, "met")])
def test_few_samples_decide_nothing(count: int, state: str) -> None:
    few = record("a", values(1e-6, count))
    (found,) = outcomes([target(at_most=2.0)], figures(a=few))
    assert found.state == state
    assert found.reason == ("" if state == "met" else f"{count} samples are too few")


def test_figures_of_different_runs_are_not_compared() -> None:
    other = record("b", values(2e-6), run="another")
    (found,) = outcomes([target("ratio", ("s/a", "s/b"), "x")], figures(a=A, b=other))
    assert (found.state, found.reason) == ("not measured", "s/a and s/b are of different runs")


def test_a_share_is_of_the_same_calls() -> None:
    calls = record("a", values(1e-3), stages={"total": 0.99, "core": 0.98, "whole": 1.0})
    found = achieved(target("share", unit="%"), figures(a=calls))
    assert found.value == pytest.approx(2.0)
    assert found.high - found.low < 1e-6


@pytest.mark.parametrize(
    ("bound", "interval", "state"),
    [
        ({"at_most": 1.0}, (0.8, 1.0), "met"),
        ({"at_most": 1.0}, (0.9, 1.1), "undecided"),
        ({"at_most": 1.0}, (1.01, 1.1), "missed"),
        ({"at_most": None, "at_least": 100}, (100, 120), "met"),
        ({"at_most": None, "at_least": 100}, (99, 120), "undecided"),
        ({"at_most": None, "at_least": 100}, (90, 99), "missed"),
    ],
)
def test_a_target_is_met_by_its_whole_interval(bound: Any, interval: Any, state: Any) -> None:
    low, high = interval
    assert target(**bound).state(Interval((low + high) / 2, low, high)) == state


def test_what_was_not_measured_is_said_to_be_so() -> None:
    (found,) = outcomes([target(of=("s/absent",))], figures(a=A))
    assert (found.state, found.reason) == ("not measured", "there are no samples of s/absent")
    assert found.achieved is None


def test_the_share_of_several_processes_is_judged_by_processes() -> None:
    calls = record("a", values(1e-3, 30), stages={"core": 0.98, "whole": 1.0})
    apart = []
    for i, each in enumerate(calls.samples):
        core = (0.9 + 0.04 * (i // 10)) * each.wall
        apart.append(replace(each, process=i // 10, counters=each.counters | {"stage_core": core}))
    found = achieved(target("share", unit="%"), figures(a=replace(calls, samples=apart)))
    assert found.value == pytest.approx(6.0, abs=0.1)
    assert found.high - found.low > 5


def test_a_share_without_stamps_was_not_measured() -> None:
    (found,) = outcomes([target("share", unit="%")], figures(a=A))
    assert found.state == "not measured"


def test_the_measured_baseline_stands_beside_it() -> None:
    (found,) = outcomes([target(baseline="s/b")], figures(a=A, b=B))
    assert found.baseline is not None
    assert found.baseline.value == pytest.approx(2e-6, rel=0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": "guess"},
        {"unit": "furlong"},
        {"clock": "sun"},
        {"of": ("s/a", "s/b")},
        {"rule": "ratio"},
        {"at_most": None},
        {"at_least": 3.0},
    ],
)
def test_a_target_that_cannot_be_judged_is_refused(wrong: Any) -> None:
    with pytest.raises(TargetError, match="'metric' cannot be judged"):
        target(**wrong)


def test_every_written_target_can_be_judged_and_names_suites() -> None:
    targets = read_targets()
    metrics = [each.metric for each in targets]
    assert len(metrics) == len(set(metrics)) > 30
    for each in targets:
        for id_ in (*each.of, each.baseline):
            assert not id_ or id_.partition("/")[0] in NAMES
