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


@dataclass(frozen=True)
class Doubt:
    """How sure a comparison must be."""

    confidence: float = 0.95  # of the intervals
    significance: float = 0.05  # the largest adjusted p-value that counts
    noise: float = 0.05  # changes within this share are nobody's; twice as much is to be seen

    @property
    def change(self) -> float:
        """The change that a run is to see."""
        return 2 * self.noise

    def sight(self, comparisons: int) -> Sight:
        """Return what the first of so many comparisons must show."""
        level = self.significance / max(comparisons, 1)
        return Sight(level, self.noise, self.confidence, POWER)


DOUBT = Doubt()


@dataclass(frozen=True)
class Change:
    id: str
    ratio: Interval  # new / base
    p_value: float | None  # adjusted; None where there is no verdict
    verdict: str  # a key of SYMBOLS, or "" for none
    reason: str  # for "inconclusive", "no change", and where there is no verdict


def rounds_needed(comparisons: int, doubt: Doubt) -> int:
    """Return how many rounds of two processes a run of so many comparisons asks for."""
    counts = range(FEWEST_ROUNDS, MOST_ROUNDS + 1)
    return doubt.sight(comparisons).rounds_for(doubt.change, USUAL_DEVIATION, counts) or MOST_ROUNDS


def power_text(rounds: int, comparisons: int, doubt: Doubt) -> str:
    change = doubt.sight(comparisons).smallest_change(rounds, USUAL_DEVIATION)
    return (
        f"{rounds} rounds of two processes: a change of {math.ceil(100 * change)} % will be seen in"
        f" {POWER * 10:g} of 10 runs where rounds differ by up to {100 * USUAL_DEVIATION:g} %"
    )


def verdicts(rounds: Rounds, p_values: Any, shifts: Any, doubt: Doubt) -> NDArray[np.str_]:
    """Judge comparisons: arrays of any one shape, "drift" where the copy's own shift explains one.

    P-values are adjusted, shifts the mean logarithms by which the copy beside each moved itself.
    """
    noise, side = math.log1p(doubt.noise), np.sign(rounds.mean)
    near = np.where(side > 0, rounds.low, -rounds.high)
    # A copy's chance is no drift, and one that moved the other way explains nothing.
    drift = np.where(side * shifts > noise, side * shifts, 0.0)
    seen = (p_values < doubt.significance) & (near > noise)
    still = np.maximum(rounds.high, -rounds.low) <= math.log1p(doubt.change)
    return np.select(
        [seen & (near - drift <= noise), seen & (side > 0), seen, still],
        ["drift", "regressed", "improved", "no change"],
        "inconclusive",
    )


def _unseen(rounds: int, deviation: float, comparisons: int, doubt: Doubt) -> str:
    sight = doubt.sight(comparisons)
    smallest = sight.smallest_change(rounds, deviation)
    if smallest <= doubt.change:
        return f"neither beyond {doubt.noise:.0%} nor within {doubt.change:.0%}"
    needed = sight.rounds_for(doubt.change, deviation, range(rounds, MOST_ROUNDS + 1))
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


def changes(pairs: Sequence[tuple[Record, Record]], doubt: Doubt) -> dict[str, Change]:
    """Compare each (latest, baseline) of all suites by its id, and judge those that ran in turn."""
    sides = {new.id: [stats.witnesses(x.by_process()) for x in (new, base)] for new, base in pairs}
    tests = {
        new.id: stats.compare_rounds(np.log(np.divide(*sides[new.id])), doubt.confidence)
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
        medians = [stats.median_interval(each, doubt.confidence) for each in sides[new.id]]
        ratio = test.ratio if test else stats.quotient(*medians)
        if test and p_value is None:
            reason = NOT_OURS
        elif test:
            copy = _nearest_copy(new, copies)
            shift = float(tests[copy.id].mean) if copy else 0.0
            verdict = str(verdicts(test, p_value, shift, doubt))
            reason = f"within {doubt.change:.0%}" * (verdict == "no change")
            if verdict == "inconclusive":
                reason = _unseen(len(sides[new.id][0]), float(test.deviation), len(judged), doubt)
            elif verdict == "drift" and copy:
                verdict = "inconclusive"
                reason = f"{copy.case['id']} took {math.exp(shift):.2f} times as long itself"
        found[new.id] = Change(new.id, ratio, p_value, verdict, reason)
    return found
