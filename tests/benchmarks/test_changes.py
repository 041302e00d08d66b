# SPDX-License-Identifier: Apache-2.0
"""Stored figures beside others: who is judged, by whom, and what is said."""

from typing import Any

import numpy as np
import pytest
from stored_runs import no_job

from benchmarks.harness.case import Case
from benchmarks.harness.changes import NO_VERDICT, NOT_OURS, Change, changes
from benchmarks.harness.store import Record, Sample

ROUNDS = 10
# What rounds differ by: means of 0, so that a ratio is what a test says.
WOBBLE = 0.01 * (-1.0) ** np.arange(ROUNDS)


def record(
    name: str,
    walls: Any,
    *,
    role: Any = "ours",
    run: str = "one",
    suite: str = "suite",
    **case: Any,
) -> Record:
    """Return a benchmark; one number is that of every round, more are those of one process each."""
    medians = np.full(ROUNDS, walls) if np.ndim(walls) == 0 else np.asarray(walls)
    samples = [
        Sample(process, float(median * factor), 1.0, 1)
        for process, median in enumerate(medians)
        for factor in (0.9, 1.0, 1.0, 1.0, 5.0)
    ]
    described_case = Case(name, name, no_job, role, **case).described()
    return Record(suite, described_case, samples, run, {"samples": len(samples)})


def pair(name: str, ratio: Any, *, spread: float = 1.0, **rest: Any) -> tuple[Record, Record]:
    """Return a benchmark of both builds in turn, whose medians differ by a ratio."""
    new = ratio * np.exp(spread * WOBBLE)
    return record(name, new, **rest), record(name, 1.0, **rest)


def judged(*pairs: tuple[Record, Record], id_: str = "suite/b") -> Change:
    return changes(pairs)[id_]


@pytest.mark.parametrize(
    ("ratio", "verdict", "reason"),
    [
        (8.0, "regressed", ""),
        (1.1, "regressed", ""),
        (1 / 1.1, "improved", ""),
        (1.03, "no change", "within 10%"),
        (1.0, "no change", "within 10%"),
    ],
)
def test_rounds_of_two_builds_have_a_verdict(ratio: float, verdict: str, reason: str) -> None:
    found = judged(pair("b", ratio))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.ratio.value == pytest.approx(ratio)
    assert found.ratio.low < ratio < found.ratio.high


@pytest.mark.parametrize("ratio", [8.0, 1.0])
def test_another_run_has_a_ratio_and_no_verdict(ratio: float) -> None:
    new, base = record("b", ratio, run="new"), record("b", 1.0, run="old")
    found = judged((new, base))
    assert (found.verdict, found.reason, found.ratio.value) == ("", NO_VERDICT, ratio)
    assert found.p_value is None
    few = judged((record("b", [2.0], run="new"), record("b", [1.0], run="old")))
    assert few.ratio.numbers() == [2.0, None, None]


def test_one_process_of_each_build_is_no_witness() -> None:
    walls = {"new": [2.0] * 5, "base": [1.0] * 5}
    found = judged((record("b", walls["new"]), record("b", walls["base"])))
    assert (found.verdict, found.reason) == ("", NO_VERDICT)


def test_a_machine_that_gets_slower_from_round_to_round_hides_nothing() -> None:
    drift = np.linspace(1, 2, ROUNDS)
    new = record("b", 1.1 * drift * np.exp(WOBBLE))
    assert judged((new, record("b", drift))).verdict == "regressed"


@pytest.mark.parametrize("role", ["copy", "peer", "control"])
def test_what_is_not_ours_is_shown_and_not_judged(role: str) -> None:
    found = judged(pair("b", 8.0, role=role))
    assert (found.verdict, found.reason) == ("", NOT_OURS)
    assert found.ratio.value == pytest.approx(8.0)


def test_a_change_that_its_copy_shares_is_none() -> None:
    def verdict(copy: float, **rest: Any) -> tuple[str, str]:
        moved = pair("copy", copy, role="copy", **rest)
        found = judged(pair("b", 1.11, copy="copy"), moved)
        return found.verdict, found.reason

    assert verdict(1.08) == ("inconclusive", "copy took 1.08 times as long itself")
    assert verdict(1.04)[0] == "regressed"
    assert verdict(0.9)[0] == "regressed"
    assert verdict(1.08, run="another")[0] == "regressed"
    # It varies by more than the noise, and is the same in the mean.
    assert verdict(1.0, spread=20)[0] == "regressed"


@pytest.mark.parametrize("copy", [1.08, 1 / 1.08])
def test_no_change_beside_a_copy_that_moved_is_none(copy: float) -> None:
    moved = pair("copy", copy, role="copy")
    found = judged(pair("b", 1.0, copy="copy"), moved)
    assert found.verdict == "inconclusive"
    assert found.reason == f"copy took {copy:.2f} times as long itself"
    still = pair("copy", 1.04, role="copy")
    assert judged(pair("b", 1.0, copy="copy"), still).verdict == "no change"


def test_the_copy_of_the_same_bytes_is_asked_and_without_one_the_smallest_by_one_thread() -> None:
    still = pair("own", 1.0, role="copy", bytes=400)
    moved = [
        pair("small", 1.2, role="copy", bytes=4),
        pair("large", 1.0, role="copy", bytes=40),
        pair("threads", 1.0, role="copy", bytes=1, threads=2),
    ]
    assert judged(pair("b", 1.11, copy="own"), still, *moved).verdict == "regressed"
    found = judged(pair("b", 1.11), still, *moved)
    assert found.reason == "small took 1.20 times as long itself"


def test_what_was_not_seen_says_what_would_have_been() -> None:
    found = judged(pair("b", 1.1, spread=12.0))
    assert found.verdict == "inconclusive"
    assert found.reason == "only a change above 22 % would have been seen; --processes 80"
    hopeless = judged(pair("b", 1.1, spread=60.0))
    assert hopeless.reason.endswith("would have been seen; the machine is too restless")
    between = judged(pair("b", 1.075, spread=3.6))
    assert between.reason == "neither beyond 5% nor within 10%"


def test_p_values_are_adjusted_over_all_suites() -> None:
    slow = pair("b", 1.11, spread=3.0)
    assert judged(slow).verdict == "regressed"
    others = [pair(f"b{i}", 1.0, suite=f"suite{i % 3}", spread=1.0 + 0.01 * i) for i in range(300)]
    among = judged(slow, *others)
    assert among.p_value == pytest.approx(301 * (judged(slow).p_value or 0))
    assert among.ratio == judged(slow).ratio
