# SPDX-License-Identifier: Apache-2.0
"""Latest figures beside a baseline's: ratio, interval, and a verdict.

A change is a verdict only when it survives every doubt: Holm's adjustment over all benchmarks that
are compared, an interval wholly beyond the noise threshold, and a copy of the same run that did not
move by as much itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.harness.stats import (
    Interval,
    exact_p,
    holm,
    interval,
    paired_ratio,
    resampled_medians,
    seed_of,
    two_sided_p,
)
from benchmarks.harness.store import Record

# "" is none: only alternating processes (--ab) give one, a ratio to stored figures does not.
Verdict = Literal["improved", "no change", "regressed", "inconclusive", ""]
NO_VERDICT = "no verdict: use --ab"
SYMBOLS: Mapping[Verdict, str] = {
    "improved": "\u25b2",
    "no change": "=",
    "regressed": "\u25bc",
    "inconclusive": "?",
}
FEWEST_SAMPLES = 5


@dataclass(frozen=True)
class Doubt:
    """How sure a comparison must be.

    Attributes
    ----------
    confidence : float
        Of the intervals.
    significance : float
        The largest adjusted p-value that counts.
    noise : float
        Changes within this share of 1 are nobody's business.
    resamples : int
        Of a bootstrap.
    """

    confidence: float = 0.95
    significance: float = 0.05
    noise: float = 0.05
    resamples: int = 100_000


@dataclass(frozen=True)
class Change:
    """What became of one benchmark."""

    id: str
    ratio: Interval  # new / base of the medians
    p_value: float  # adjusted; NaN where there is no verdict
    verdict: Verdict
    reason: str  # for "inconclusive", "no change", and where there is no verdict


@dataclass(frozen=True)
class _Comparison:
    new: Record
    base: Record
    ratio: Interval
    p_value: float


def paired(new: Record, base: Record) -> bool:
    """Tell whether two records come from one run with alternating processes."""
    return new.run == base.run and len(new.by_process()) > 2


def compared(new: Record, base: Record, doubt: Doubt) -> tuple[Interval, float]:
    """Return the ratio of medians, new to base, and its p-value."""
    if paired(new, base):
        return paired_ratio(new.by_process(), base.by_process(), doubt.confidence)
    medians = [
        resampled_medians(each.by_process(), doubt.resamples, seed_of(f"{each.id} {which}"))
        for each, which in ((new, "new"), (base, "base"))
    ]
    walls = [np.concatenate(each.by_process()) for each in (new, base)]
    ratio = float(np.median(walls[0]) / np.median(walls[1]))
    resampled = medians[0] / medians[1]
    p_value = max(two_sided_p(resampled), exact_p(new.by_process(), base.by_process()))
    return interval(ratio, resampled, doubt.confidence), p_value


def _moved(reference: _Comparison, noise: float) -> bool:
    """Tell whether a reference is another one: its interval does not lie within the noise.

    Processes in turn have met the same machine. What is left between their references is chance,
    so that the value counts and not how uncertain it is.
    """
    ratio = reference.ratio
    if paired(reference.new, reference.base):
        return not 1 - noise <= ratio.value <= 1 + noise
    return ratio.high > 1 + noise or ratio.low < 1 - noise


def drift_of(comparison: _Comparison, comparisons: Sequence[_Comparison], doubt: Doubt) -> str:
    """Return what a copy of the same two runs says of the machine, or "" where it stood still.

    It is the copy of the same bytes, or the smallest by one thread where there is none.
    """
    copies = [
        each
        for each in comparisons
        if each.new.case["role"] == "copy"
        and (each.new.run, each.base.run) == (comparison.new.run, comparison.base.run)
    ]
    own = [each for each in copies if each.new.case["id"] == comparison.new.case["copy"]]
    single = [each for each in copies if each.new.case["threads"] == 1]
    smallest = min(single, key=lambda each: float(each.new.case["bytes"]), default=None)
    nearest = own[0] if own else smallest
    if nearest is None or nearest is comparison or not _moved(nearest, doubt.noise):
        return ""
    return f"{nearest.new.case['id']} took {nearest.ratio.value:.2f} times as long itself"


def _judged(comparison: _Comparison, p_value: float, drift: str, doubt: Doubt) -> Change:
    new, base, ratio = comparison.new, comparison.base, comparison.ratio
    verdict: Verdict = "no change"
    reason = ""
    fewest = min(len(new.samples), len(base.samples))
    if fewest < FEWEST_SAMPLES:
        verdict, reason = "inconclusive", f"{fewest} samples are too few"
    elif p_value >= doubt.significance:
        reason = "chance would do"
    elif ratio.low > 1 + doubt.noise:
        verdict = "regressed"
    elif ratio.high < 1 - doubt.noise:
        verdict = "improved"
    else:
        reason = f"within {doubt.noise:.0%}"
    if drift and verdict in {"improved", "regressed"}:
        verdict, reason = "inconclusive", drift
    return Change(new.id, ratio, p_value, verdict, reason)


def changes(pairs: Sequence[tuple[Record, Record]], doubt: Doubt) -> dict[str, Change]:
    """Judge the benchmarks of one suite, each with its baseline.

    Parameters
    ----------
    pairs : sequence of (latest, baseline)
        Of one suite: Holm's adjustment is over these.
    doubt : Doubt
        How sure the verdicts must be.

    Returns
    -------
    dict
        By the id of the benchmark.
    """
    comparisons = [_Comparison(new, base, *compared(new, base, doubt)) for new, base in pairs]
    adjusted = holm([each.p_value for each in comparisons])
    return {
        each.new.id: _judged(each, p_value, drift_of(each, comparisons, doubt), doubt)
        for each, p_value in zip(comparisons, adjusted, strict=True)
    }


def as_json(change: Change) -> dict[str, Any]:
    """Return a change for a summary."""
    return {
        "ratio": [change.ratio.value, change.ratio.low, change.ratio.high],
        "p_value": change.p_value,
        "verdict": change.verdict,
        "reason": change.reason,
    }
