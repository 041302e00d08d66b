# SPDX-License-Identifier: Apache-2.0
"""Latest figures beside others: a ratio, and a verdict where two builds ran in turn.

Two runs have met two moments of the machine, and no number of samples tells how far apart these
were: beside a baseline there is a ratio and no verdict. In rounds of two fresh processes, one of
each build, both have met the same moment, and each round is one witness. How many are needed is
known before: that is the power of the test.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import stats
from benchmarks.harness.stats import Interval, Rounds, Sight
from benchmarks.harness.store import Record

SYMBOLS: Mapping[str, str] = {
    "improved": "\u25b2",
    "no change": "=",
    "regressed": "\u25bc",
    "inconclusive": "?",
}
NO_VERDICT = "no verdict: use --ab"
# A copy or a peer is the same code in both builds.
NOT_OURS = "no verdict: not ours"
JUDGED_ROLES = ("ours", "legacy")
FEWEST_ROUNDS = 6
MOST_ROUNDS = 200
# How far rounds on a shared machine differ, and how often a change is to be seen.
USUAL_DEVIATION = 0.04
POWER = 0.9
CONFIDENCE = 0.95  # of the intervals
SIGNIFICANCE = 0.05  # the largest adjusted p-value that counts
NOISE = 0.05  # changes within this share are nobody's
CHANGE = 2 * NOISE  # is to be seen


def sight(comparisons: int) -> Sight:
    """Return what the first of so many comparisons must show."""
    return Sight(SIGNIFICANCE / max(comparisons, 1), NOISE, POWER)


@dataclass(frozen=True)
class Change:
    id: str
    ratio: Interval  # new / base
    p_value: float | None  # adjusted; None where there is no verdict
    verdict: str  # a key of SYMBOLS, or "" for none
    reason: str  # for "inconclusive", "no change", and where there is no verdict
    deviation: float | None = None  # of the logarithms of the rounds' ratios


def rounds_needed(comparisons: int) -> int:
    """Return how many rounds of two processes a run of so many comparisons asks for."""
    counts = range(FEWEST_ROUNDS, MOST_ROUNDS + 1)
    return sight(comparisons).rounds_for(CHANGE, USUAL_DEVIATION, counts) or MOST_ROUNDS


def power_text(rounds: int, comparisons: int, measured: float | None = None) -> str:
    """Say what rounds see: before a run, or after it by how much its rounds differed."""
    deviation = USUAL_DEVIATION if measured is None else measured
    change = math.ceil(100 * sight(comparisons).smallest_change(rounds, deviation))
    differ = f"differ by up to {100 * deviation:.0f} %"
    if measured is not None:
        differ = f"differ by {100 * measured:.1f} %, as half of these did at most"
    return (
        f"{rounds} rounds of two processes: a change of {change} % is seen in {POWER * 10:g} of 10"
        f" runs where rounds {differ}"
    )


def verdicts(rounds: Rounds, p_values: Any, shifts: Any) -> NDArray[np.str_]:
    """Judge comparisons: arrays of any one shape, "drift" where the copy's own shift explains one.

    P-values are adjusted, shifts the mean logarithms by which the copy beside each moved itself.
    """
    noise, side = math.log1p(NOISE), np.sign(rounds.mean)
    near = np.where(side > 0, rounds.low, -rounds.high)
    # A copy's chance is no drift, and one that moved the other way explains no change.
    drift = np.where(side * shifts > noise, side * shifts, 0.0)
    seen = p_values < SIGNIFICANCE
    still = np.maximum(rounds.high, -rounds.low) <= math.log1p(CHANGE)
    # It may hide one, whichever way it moved.
    drifted = np.where(seen, near - drift <= noise, still & (np.abs(shifts) > noise))
    return np.select(
        [drifted, seen & (side > 0), seen, still],
        ["drift", "regressed", "improved", "no change"],
        "inconclusive",
    )


def _unseen(rounds: int, deviation: float, comparisons: int) -> str:
    smallest = sight(comparisons).smallest_change(rounds, deviation)
    if smallest <= CHANGE:
        return f"neither beyond {NOISE:.0%} nor within {CHANGE:.0%}"
    counts = range(rounds, MOST_ROUNDS + 1)
    needed = sight(comparisons).rounds_for(CHANGE, deviation, counts)
    remedy = f"--processes {needed}" if needed else "the machine is too restless"
    return f"only a change above {math.ceil(100 * smallest)} % would have been seen; {remedy}"


def paired(new: Record, base: Record) -> bool:
    """Tell whether two records come from one run with alternating processes."""
    return new.run == base.run and len(new.by_process()) >= FEWEST_ROUNDS


def _nearest_copy(new: Record, copies: Sequence[Record]) -> Record | None:
    """Return the copy of the same bytes, or the smallest by one thread, of the same run."""
    same = [each for each in copies if each.run == new.run]
    own = [each for each in same if each.case["id"] == new.case["copy"]]
    single = [each for each in same if each.case["threads"] == 1]
    smallest = min(single, key=lambda each: float(each.case["bytes"]), default=None)
    return own[0] if own else smallest


def changes(pairs: Sequence[tuple[Record, Record]]) -> dict[str, Change]:
    """Compare each (latest, baseline) of all suites by its id, and judge those that ran in turn."""
    sides = {new.id: [stats.witnesses(x.by_process()) for x in (new, base)] for new, base in pairs}
    tests = {
        new.id: stats.compare_rounds(np.log(np.divide(*sides[new.id])), CONFIDENCE, NOISE)
        for new, base in pairs
        if paired(new, base)
    }
    copies = [new for new, _ in pairs if new.id in tests and new.case["role"] == "copy"]
    judged = [new.id for new, _ in pairs if new.id in tests and new.case["role"] in JUDGED_ROLES]
    adjusted = stats.holm(np.array([tests[id_].p_value for id_ in judged], dtype=float))
    p_values = dict(zip(judged, adjusted.tolist(), strict=True))
    found = {}
    for new, _ in pairs:
        verdict, reason, p_value = "", NO_VERDICT, p_values.get(new.id)
        test = tests.get(new.id)
        medians = [stats.median_interval(each, CONFIDENCE) for each in sides[new.id]]
        ratio = test.ratio if test else stats.quotient(*medians)
        if test and p_value is None:
            reason = NOT_OURS
        elif test:
            copy = _nearest_copy(new, copies)
            shift = float(tests[copy.id].mean) if copy else 0.0
            verdict = str(verdicts(test, p_value, shift))
            reason = f"within {CHANGE:.0%}" * (verdict == "no change")
            if verdict == "inconclusive":
                reason = _unseen(len(sides[new.id][0]), float(test.deviation), len(judged))
            elif verdict == "drift" and copy:
                verdict = "inconclusive"
                reason = f"{copy.case['id']} took {math.exp(shift):.2f} times as long itself"
        deviation = float(test.deviation) if test else None
        found[new.id] = Change(new.id, ratio, p_value, verdict, reason, deviation)
    return found
