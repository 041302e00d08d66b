# SPDX-License-Identifier: Apache-2.0
"""Verdicts on samples whose truth is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.case import Case, run_by_program
from benchmarks.harness.changes import Doubt, changes
from benchmarks.harness.store import Record, Sample, described

DOUBT = Doubt(resamples=4000)
REPETITIONS = 20
BENCHMARKS = 6


def record(
    name: Any, by_process: Any, *, role: Any = "ours", copy: Any = "", run: str = "one"
) -> Any:
    samples = [
        Sample(process, float(wall), float(wall), 1)
        for process, walls in enumerate(by_process)
        for wall in walls
    ]
    case = described(Case(name, name, run_by_program, role, copy=copy))
    return Record("suite", case, samples, run, {"samples": len(samples)})


def noisy(
    random: np.random.Generator,
    median: float,
    *,
    processes: int = 1,
    count: int = 100,
    spread: float = 0.04,
    offset: float = 0.01,
    moment: float = 1.0,
) -> list[Any]:
    """Return samples as a shared machine gives them: a layout for each process, slow outliers."""
    found = []
    for _ in range(processes):
        layout = moment * np.exp(random.normal(0, offset))
        walls = median * layout * np.exp(random.normal(0, spread, count // processes))
        walls[random.random(len(walls)) < 0.05] *= 1.5
        found.append(walls)
    return found


def one_run(random: Any, slower: Any, name: Any, *, paired: Any = False, moment: Any = 1.0) -> Any:
    run = "one" if paired else name
    processes = 10 if paired else 1
    copy = record(
        "copy", noisy(random, 1e-3, processes=processes, moment=moment), role="copy", run=run
    )
    ours = [
        record(
            f"b{i}",
            noisy(random, slower * (i + 1) * 1e-4, processes=processes, moment=moment),
            copy="copy",
            run=run,
        )
        for i in range(BENCHMARKS)
    ]
    return [copy, *ours]


def verdicts(random: Any, *, slower: Any = 1.0, paired: Any = False, moment: Any = 1.0) -> Any:
    base = one_run(random, 1.0, "base", paired=paired)
    new = one_run(random, slower, "new", paired=paired, moment=moment)
    found = changes(list(zip(new, base, strict=True)), DOUBT)
    return [found[f"suite/b{i}"].verdict for i in range(BENCHMARKS)]


@pytest.mark.parametrize("paired", [False, True])
def test_the_same_build_twice_has_few_false_verdicts(paired: Any) -> None:
    random = np.random.default_rng(1)
    found = [v for _ in range(REPETITIONS) for v in verdicts(random, paired=paired)]
    false = sum(v in {"improved", "regressed"} for v in found)
    assert false <= 0.05 * len(found)


@pytest.mark.parametrize("count", [5, 10, 100])
def test_without_a_threshold_a_suite_has_as_few_false_verdicts_as_is_promised(count: int) -> None:
    random = np.random.default_rng(8)
    doubt = Doubt(noise=1e-9, resamples=2000)
    wrong = 0
    for _ in range(200):
        pairs = []
        for i in range(10):
            walls = [[random.normal(1, 0.05, count)] for _ in range(2)]
            pairs.append((record(f"b{i}", walls[0]), record(f"b{i}", walls[1])))
        found = changes(pairs, doubt).values()
        wrong += any(each.verdict in {"improved", "regressed"} for each in found)
    # 5 % of 200 suites, and three standard deviations.
    assert wrong <= 10 + 9


def test_five_samples_are_never_sure_among_many() -> None:
    apart = (
        record("apart", [[2.0, 2.1, 2.2, 2.3, 2.4]]),
        record("apart", [[1.0, 1.1, 1.2, 1.3, 1.4]]),
    )
    assert changes([apart], DOUBT)["suite/apart"].p_value == pytest.approx(2 / 252)


def test_a_copy_of_another_run_says_nothing_of_the_machine() -> None:
    ours = [record("b", [[m] * 9], copy="copy", run="new") for m in (1.5, 1.0)]
    copies = [record("copy", [[m] * 9], role="copy", run="old") for m in (1.5, 1.0)]
    found = changes([(ours[0], ours[1]), (copies[0], copies[1])], DOUBT)
    assert found["suite/b"].verdict == "regressed"
    copies = [record("copy", [[m] * 9], role="copy", run="new") for m in (1.5, 1.0)]
    found = changes([(ours[0], ours[1]), (copies[0], copies[1])], DOUBT)
    assert found["suite/b"].verdict == "inconclusive"


@pytest.mark.parametrize("paired", [False, True])
def test_a_build_that_is_a_tenth_slower_is_caught(paired: Any) -> None:
    random = np.random.default_rng(2)
    caught = [
        "regressed" in verdicts(random, slower=1.1, paired=paired) for _ in range(REPETITIONS)
    ]
    assert sum(caught) >= 19


@pytest.mark.parametrize("paired", [False, True])
def test_a_build_that_is_a_tenth_faster_is_praised(paired: Any) -> None:
    random = np.random.default_rng(3)
    found = [v for _ in range(REPETITIONS) for v in verdicts(random, slower=1 / 1.1, paired=paired)]
    assert sum(v == "improved" for v in found) >= 0.8 * len(found)


def test_a_machine_that_got_slower_is_no_regression() -> None:
    random = np.random.default_rng(4)
    found = [v for _ in range(5) for v in verdicts(random, moment=1.3)]
    assert set(found) == {"inconclusive"}


def test_alternating_processes_see_through_a_machine_that_gets_slower() -> None:
    # Each round is slower than the one before, for both builds.
    random = np.random.default_rng(5)
    drift = np.linspace(1, 1.5, 10)

    def rounds(median: Any) -> Any:
        return [noisy(random, median, count=10, moment=d)[0] for d in drift]

    pairs = [
        (record("copy", rounds(1.0), role="copy"), record("copy", rounds(1.0), role="copy")),
        (record("same", rounds(1.0), copy="copy"), record("same", rounds(1.0), copy="copy")),
        (record("slow", rounds(1.2), copy="copy"), record("slow", rounds(1.0), copy="copy")),
    ]
    found = changes(pairs, DOUBT)
    assert found["suite/same"].verdict == "no change"
    assert found["suite/slow"].verdict == "regressed"


def test_a_restless_copy_hides_no_regression_between_processes_in_turn() -> None:
    def verdict(copy: Any) -> Any:
        pairs = [
            (record("copy", copy, role="copy"), record("copy", [[1.0] * 9] * 10, role="copy")),
            (
                record("slow", [[1.11 + i / 1000] * 9 for i in range(10)], copy="copy"),
                record("slow", [[1.0] * 9] * 10, copy="copy"),
            ),
        ]
        return changes(pairs, DOUBT)["suite/slow"].verdict

    assert verdict([[1.0 + 0.1 * (-1) ** i] * 9 for i in range(10)]) == "regressed"
    assert verdict([[1.1 + i / 1000] * 9 for i in range(10)]) == "inconclusive"


def test_small_changes_are_nobodys_business() -> None:
    random = np.random.default_rng(6)
    new, base = (record("a", noisy(random, m, count=5000, offset=0)) for m in (1.03, 1.0))
    change = changes([(new, base)], DOUBT)["suite/a"]
    assert change.p_value < 0.05
    assert (change.verdict, change.reason) == ("no change", "within 5%")


def test_few_samples_decide_nothing() -> None:
    new, base = record("a", [[2.0] * 4]), record("a", [[1.0] * 4])
    change = changes([(new, base)], DOUBT)["suite/a"]
    assert (change.verdict, change.reason) == ("inconclusive", "4 samples are too few")


def test_what_chance_would_do_among_many_is_no_change() -> None:
    random = np.random.default_rng(7)
    walls = {"new": random.normal(1.25, 0.1, 7), "base": random.normal(1.0, 0.1, 7)}
    slow = record("slow", [walls["new"]]), record("slow", [walls["base"]])
    alone = changes([slow], DOUBT)["suite/slow"]
    assert alone.verdict == "regressed"
    equal = record("equal", [np.ones(9)])
    many = [(replace(equal, case=equal.case | {"id": f"e{i}"}),) * 2 for i in range(200)]
    among = changes([slow, *many], DOUBT)["suite/slow"]
    assert among.ratio == alone.ratio
    assert (among.verdict, among.reason) == ("no change", "chance would do")
