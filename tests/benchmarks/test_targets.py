# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_runs import no_job

from benchmarks.harness.case import Case, RefusedError
from benchmarks.harness.stats import Interval
from benchmarks.harness.store import Record, Sample
from benchmarks.harness.targets import (
    Figures,
    Headline,
    Target,
    achieved,
    outcome,
    read_headlines,
    read_targets,
)
from benchmarks.suites import NAMES


def record(id_: Any, walls: Any, *, cpu: Any = 1.0, stages: Any = None, run: str = "run") -> Any:
    samples = [
        Sample(0, wall, cpu * wall, 1, {f"stage_{k}": v * wall for k, v in (stages or {}).items()})
        for wall in walls
    ]
    case = Case(id_, id_, no_job).described()
    return Record("s", case, samples, run, {"samples": len(samples)})


def figures(**walls: Any) -> Any:
    records = {f"s/{name}": value for name, value in walls.items()}
    return Figures(records.get, 0.95)


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
        ("saved", ("s/b", "s/a"), "us", {"divide": 4}, 1.0),
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


@pytest.mark.parametrize(
    ("count", "state", "reason"),
    [
        (1, "undecided", "1 sample is too few"),
        (5, "undecided", "5 samples are too few"),
        (6, "met", ""),
    ],
)
def test_few_samples_decide_nothing(count: int, state: str, reason: str) -> None:
    few = record("a", values(1e-6, count))
    found = outcome(target(at_most=2.0), figures(a=few))
    assert (found.state, found.reason) == (state, reason)


def test_figures_of_different_runs_are_not_compared() -> None:
    other = record("b", values(2e-6), run="another")
    found = outcome(target("ratio", ("s/a", "s/b"), "x"), figures(a=A, b=other))
    assert (found.state, found.reason) == ("not measured", "s/a and s/b are of different runs")


def test_a_share_is_of_what_the_caller_waits_for_and_of_the_same_calls() -> None:
    calls = record("a", values(1e-3), stages={"total": 0.99, "core": 0.98, "whole": 1.0})
    found = achieved(target("share", unit="%"), figures(a=calls))
    assert found.value == pytest.approx(2.0)
    # Times vary by a hundredth, and the share of each call is the same.
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
    found = outcome(target(of=("s/absent",)), figures(a=A))
    assert (found.state, found.reason) == ("not measured", "there are no samples of s/absent")
    assert found.achieved is None


def test_the_share_of_several_processes_is_judged_by_processes() -> None:
    calls = record("a", values(1e-3, 60), stages={"core": 0.98, "whole": 1.0})
    apart = []
    for i, each in enumerate(calls.samples):
        core = (0.9 + 0.01 * (i // 10)) * each.wall
        apart.append(replace(each, process=i // 10, counters=each.counters | {"stage_core": core}))
    found = achieved(target("share", unit="%"), figures(a=replace(calls, samples=apart)))
    assert found.numbers() == pytest.approx([7.5, 5.0, 10.0])


def test_a_share_without_stamps_was_not_measured() -> None:
    found = outcome(target("share", unit="%"), figures(a=A))
    assert found.state == "not measured"


def test_the_measured_baseline_stands_beside_it() -> None:
    for each in (target(baseline="s/b"), target("times", ("s/a", "s/b"), "x")):
        found = outcome(each, figures(a=A, b=B))
        assert found.baseline is not None
        assert found.baseline.value == pytest.approx(2e-6, rel=0.02)
    assert outcome(target(), figures(a=A)).baseline is None


def test_without_a_bound_a_figure_is_shown_and_not_judged() -> None:
    found = outcome(target(at_most=None), figures(a=A))
    assert (found.state, found.target.goal, found.reason) == ("shown", "", "")
    assert found.achieved is not None
    assert found.achieved.value == pytest.approx(6.0, rel=0.02)


def test_a_file_of_targets_is_read_and_what_it_cannot_mean_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(
        'targets = [{metric = "m", rule = "value", of = ["s/a"], unit = "us", at_most = 1}]\n'
        'headlines = [{words = "w", of = "s/a", beside = ["s/b", "s/c"]},'
        ' {words = "v", of = "s/b"}]'
    )
    assert read_targets(path) == [Target("m", "value", ("s/a",), "us", at_most=1)]
    assert read_headlines(path) == [Headline("w", "s/a", ("s/b", "s/c")), Headline("v", "s/b")]
    path.write_text('targets = [{metric = "m", rules = "value"}]')
    with pytest.raises(RefusedError, match="no line of targets"):
        read_targets(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": "guess"},
        {"unit": "furlong"},
        {"clock": "sun"},
        {"of": ("s/a", "s/b")},
        {"rule": "ratio"},
        {"rule": "difference"},
        {"at_least": 3.0},
    ],
)
def test_a_target_that_cannot_be_judged_is_refused(wrong: Any) -> None:
    with pytest.raises(RefusedError, match="'metric' cannot be judged"):
        target(**wrong)


def test_every_written_target_can_be_judged_and_names_suites() -> None:
    targets, headlines = read_targets(), read_headlines()
    metrics = [each.metric for each in targets]
    assert len(metrics) == len(set(metrics)) > 30
    assert len(headlines) == 10
    ids = {id_ for each in targets for id_ in (*each.of, each.beside)}
    ids |= {id_ for each in headlines for id_ in (each.of, *each.beside)}
    assert {id_.partition("/")[0] for id_ in ids if id_} <= set(NAMES)
