# SPDX-License-Identifier: Apache-2.0
"""What is promised, and whether the stored figures keep it."""

import functools
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.harness.changes import Doubt
from benchmarks.harness.stats import (
    Interval,
    Values,
    fewest_for,
    interval,
    resampled_medians,
    seed_of,
)
from benchmarks.harness.store import Record

TARGETS = Path(__file__).parents[1] / "targets.toml"
State = Literal["met", "missed", "undecided", "not measured", "shown"]
SYMBOLS: Mapping[State, str] = {
    "met": "\u2713",
    "missed": "\u2717",
    "undecided": "?",
    "not measured": "-",
    "shown": "\u00b7",
}
_UNITS = {"x": 1.0, "us": 1e6, "ms": 1e3, "%": 100.0}
_NUMBER_OF_OPERANDS = {"ratio": 2, "times": 2, "slope": 2, "overhead": 4, "share": 1, "value": 1}


class NotMeasuredError(Exception):
    """A benchmark has no samples; or several have, but not of one run."""

    def __str__(self) -> str:
        if len(self.args) == 1:
            return f"there are no samples of {self.args[0]}"
        return f"{' and '.join(self.args)} are of different runs"


class TargetError(Exception):
    """A target in the file that says nothing sensible."""


@dataclass(frozen=True)
class Target:
    """One promise; the fields are explained at the top of targets.toml."""

    metric: str
    rule: str
    of: tuple[str, ...]
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    clock: str = "wall"
    divide: float = 1.0
    spare: float = 0.0
    stated: str = ""
    stated_target: str = ""
    baseline: str = ""
    peer: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        operands = _NUMBER_OF_OPERANDS.get(self.rule, len(self.of))
        if (
            self.rule not in {*_NUMBER_OF_OPERANDS, "difference"}
            or self.unit not in _UNITS
            or self.clock not in {"wall", "cpu"}
            or len(self.of) != operands
            or (self.at_most is None) == (self.at_least is None)
        ):
            message = f"targets.toml: {self.metric!r} cannot be judged as it is written"
            raise TargetError(message)

    @property
    def goal(self) -> str:
        """The target in words: "<= 50 us"."""
        bound = f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"
        return f"{bound} {self.unit}"

    def state(self, achieved: Interval) -> State:
        """Judge a figure with its interval."""
        if self.at_most is not None:
            met, missed = achieved.high <= self.at_most, achieved.low > self.at_most
        else:
            met, missed = achieved.low >= self.at_least, achieved.high < self.at_least  # type: ignore[operator]
        return "met" if met else "missed" if missed else "undecided"


@dataclass(frozen=True)
class Outcome:
    """A target and what the store says of it."""

    target: Target
    state: State
    achieved: Interval | None = None  # in the target's unit
    baseline: Interval | None = None  # seconds
    reason: str = ""


def read_targets(path: Path = TARGETS) -> list[Target]:
    """Return the targets of a file in its order."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["target"]
    return [Target(**{**table, "of": tuple(table["of"])}) for table in tables]


# A value with its resamples.
Measured = tuple[float, Values]


class Figures:
    """Medians of stored benchmarks and their resamples, each made once."""

    def __init__(self, find: Callable[[str], Record | None], doubt: Doubt) -> None:
        self._find = find
        self._doubt = doubt
        self._made: dict[tuple[str, str], Measured] = {}

    @property
    def confidence(self) -> float:
        """Of the intervals."""
        return self._doubt.confidence

    def record(self, id_: str) -> Record | None:
        """Return a benchmark by "suite/id"."""
        return self._find(id_)

    def median(self, id_: str, what: str = "wall") -> Measured:
        """Return the median of a clock or counter, and resampled medians."""
        if (id_, what) not in self._made:
            record = self._find(id_)
            processes = record.by_process(what) if record else []
            if not processes:
                raise NotMeasuredError(id_)
            random = seed_of(f"{id_} {what}")
            resampled = resampled_medians(processes, self._doubt.resamples, random)
            self._made[id_, what] = float(np.median(np.concatenate(processes))), resampled
        return self._made[id_, what]

    def share(self, id_: str) -> Measured:
        """Return the part of calls that they spend outside the core, by their own stamps.

        Numerator and denominator come from the same calls. The whole is what the caller waits for
        where the benchmark is one call, and what the calls' own stamps say where it is more. Pairs
        are resampled, or whole processes where there are several.
        """
        if (id_, "share") not in self._made:
            record = self._find(id_)
            core = record.by_process("stage_core") if record else []
            whole = record.by_process("stage_whole") if record else []
            if not core or not whole:
                raise NotMeasuredError(id_)
            if len(core) > 1:
                cores, wholes = (np.array([each.sum() for each in of]) for of in (core, whole))
            else:
                cores, wholes = core[0], whole[0]
            random = seed_of(f"{id_} share")
            count = min(self._doubt.resamples, 20_000)
            picks = random.integers(0, len(cores), (count, len(cores)))
            value = 1 - float(cores.sum() / wholes.sum())
            many = 1 - cores[picks].sum(axis=1) / wholes[picks].sum(axis=1)
            self._made[id_, "share"] = value, many
        return self._made[id_, "share"]

    def interval(self, of: Measured) -> Interval:
        """Return a value with the interval of its resamples."""
        return interval(*of, self._doubt.confidence)

    def seconds(self, id_: str, what: str = "wall") -> Interval:
        """Return a median with its interval."""
        return self.interval(self.median(id_, what))

    def check_run(self, ids: Iterable[str]) -> None:
        """Raise NotMeasuredError unless all were measured in one run: else they met other noise."""
        runs: dict[str, str] = {}
        for id_ in ids:
            record = self._find(id_)
            if record is None:
                raise NotMeasuredError(id_)
            runs.setdefault(record.run, id_)
        if len(runs) > 1:
            raise NotMeasuredError(*runs.values())

    def fewest_samples(self, ids: Iterable[str]) -> int:
        """Return how many samples the one with the fewest has."""
        return min(len(record.samples) for id_ in ids if (record := self._find(id_)))

    def ratio(self, numerator: str, denominator: str, what: str = "wall") -> Interval:
        """Return the ratio of two medians."""
        (a, many_a), (b, many_b) = self.median(numerator, what), self.median(denominator, what)
        return self.interval((a / b, many_a / many_b))


def _difference(one: Measured, other: Measured) -> Measured:
    return one[0] - other[0], one[1] - other[1]


def _quotient(one: Measured, other: Measured) -> Measured:
    return one[0] / other[0], one[1] / other[1]


def _times_less(one: Measured, other: Measured) -> Measured:
    """Return other / one; where one is nothing, or less, it is less by any factor."""
    value = other[0] / one[0] if one[0] > 0 else math.inf
    positive = one[1] > 0
    return value, np.where(positive, other[1] / np.where(positive, one[1], 1.0), np.inf)


_RULES: Mapping[str, Callable[..., Measured]] = {
    "value": lambda one: one,
    "ratio": _quotient,
    "times": lambda one, other: _quotient(other, one),
    "slope": _difference,
    "difference": lambda one, *others: functools.reduce(_difference, others, one),
    "overhead": lambda a, b, c, d: _times_less(_difference(a, b), _difference(c, d)),
}


def achieved(target: Target, figures: Figures) -> Interval:
    """Return what a target's rule makes of the figures, in its unit."""
    if target.rule == "share":
        found = figures.share(target.of[0])
    else:
        first, *others = (figures.median(each, target.clock) for each in target.of)
        spared = first[0] - target.spare, first[1] - target.spare
        found = _RULES[target.rule](spared, *others)
    value, many = found
    return figures.interval((value / target.divide, many / target.divide)).scaled(
        _UNITS[target.unit]
    )


def outcomes(targets: list[Target], figures: Figures) -> list[Outcome]:
    """Judge targets; what was not measured is said to be so."""
    found = []
    for target in targets:
        baseline = None
        if target.baseline and figures.record(target.baseline):
            baseline = figures.seconds(target.baseline, target.clock)
        try:
            figures.check_run(target.of)
            value = achieved(target, figures)
        except NotMeasuredError as error:
            found.append(Outcome(target, "not measured", None, baseline, str(error)))
            continue
        state, reason = target.state(value), ""
        fewest = figures.fewest_samples(target.of)
        if fewest < fewest_for(figures.confidence):
            state, reason = "undecided", f"{fewest} samples are too few"
        found.append(Outcome(target, state, value, baseline, reason))
    return found


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for a summary."""
    target, value, base = outcome.target, outcome.achieved, outcome.baseline
    return {
        "metric": target.metric,
        "stated_baseline": target.stated,
        "stated_target": target.stated_target,
        "baseline_seconds": [base.value, base.low, base.high] if base else None,
        "target": target.goal,
        "achieved": [value.value, value.low, value.high] if value else None,
        "unit": target.unit,
        "peer": target.peer,
        "state": outcome.state,
        "reason": outcome.reason,
    }
