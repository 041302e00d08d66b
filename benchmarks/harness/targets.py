# SPDX-License-Identifier: Apache-2.0
"""What is promised, and whether the stored figures keep it."""

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.harness.case import RefusedError
from benchmarks.harness.stats import Interval, difference, median_interval, quotient, witnesses
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
# From the figures of `of` to that of the target, before it is divided; and how many these are.
_RULES: Mapping[str, tuple[Callable[..., Interval], tuple[int, ...]]] = {
    "value": (lambda one: one, (1,)),
    "share": (lambda one: one, (1,)),
    "ratio": (quotient, (2,)),
    "times": (lambda one, other: quotient(other, one), (2,)),
    "slope": (difference, (2,)),
    "saved": (lambda one, other: difference(other, one), (2,)),
    "difference": (difference, (2, 3)),
}


class NotMeasuredError(Exception):
    """A benchmark has no samples; or several have, but not of one run."""


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
        if (
            self.rule not in _RULES
            or self.unit not in _UNITS
            or self.clock not in {"wall", "cpu"}
            or len(self.of) not in _RULES[self.rule][1]
            or None not in {self.at_most, self.at_least}
        ):
            message = f"targets.toml: {self.metric!r} cannot be judged as it is written"
            raise RefusedError(message)

    @property
    def goal(self) -> str:
        """The target in words: "<= 50 us"; "" where nothing is judged."""
        bounds = (("<=", self.at_most), (">=", self.at_least))
        return "".join(f"{sign} {x:g} {self.unit}" for sign, x in bounds if x is not None)

    @property
    def beside(self) -> str:
        """The benchmark whose median stands beside the figure as the measured baseline, or ""."""
        return self.baseline or (self.of[-1] if len(self.of) > 1 else "")

    def state(self, achieved: Interval) -> State:
        """Judge a figure with its interval; one without decides nothing."""
        if self.at_most is None and self.at_least is None:
            return "shown"
        most = math.inf if self.at_most is None else self.at_most
        least = -math.inf if self.at_least is None else self.at_least
        if achieved.low >= least and achieved.high <= most:
            return "met"
        return "missed" if achieved.high < least or achieved.low > most else "undecided"


@dataclass(frozen=True)
class Headline:
    """A figure that a user wants first, and those that may stand beside it."""

    words: str
    of: str
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A target and what the store says of it."""

    target: Target
    state: State
    achieved: Interval | None = None  # in the target's unit
    baseline: Interval | None = None  # seconds
    reason: str = ""


def _read(path: Path, key: str, kind: Callable[..., Any]) -> list[Any]:
    found = []
    for table in tomllib.loads(path.read_text(encoding="utf-8")).get(key, []):
        try:
            lists = {name: tuple(each) for name, each in table.items() if isinstance(each, list)}
            found.append(kind(**{**table, **lists}))
        except TypeError as error:
            message = f"{path.name}: {table} is no line of {key}: {error}"
            raise RefusedError(message) from None
    return found


def read_targets(path: Path = TARGETS) -> list[Target]:
    return _read(path, "targets", Target)


def read_headlines(path: Path = TARGETS) -> list[Headline]:
    return _read(path, "headlines", Headline)


class Figures:
    """Medians of stored benchmarks and what is made of them."""

    def __init__(self, find: Callable[[str], Record | None], confidence: float) -> None:
        self.record = find
        self.confidence = confidence

    def _samples(self, id_: str, what: str) -> list[Any]:
        record = self.record(id_)
        processes = record.by_process(what) if record else []
        if not processes:
            message = f"there are no samples of {id_}"
            raise NotMeasuredError(message)
        return processes

    def median(self, id_: str, what: str = "wall") -> Interval:
        """Return the median of a clock or counter; each process is one witness."""
        return median_interval(witnesses(self._samples(id_, what)), self.confidence)

    def share(self, id_: str) -> Interval:
        """Return the part of what the caller waits for that calls spend outside the core.

        Both come from the same calls: a share for each sample, and their median.
        """
        both = (self._samples(id_, f"stage_{which}") for which in ("core", "whole"))
        shares = [1 - core / whole for core, whole in zip(*both, strict=True)]
        return median_interval(witnesses(shares), self.confidence)

    def ratio(self, numerator: str, denominator: str, what: str = "wall") -> Interval:
        return quotient(self.median(numerator, what), self.median(denominator, what))

    def check_run(self, ids: Iterable[str]) -> None:
        """Raise NotMeasuredError unless all were measured in one run: else they met other noise."""
        runs: dict[str, str] = {}
        for id_ in ids:
            self._samples(id_, "wall")
            runs.setdefault(getattr(self.record(id_), "run", ""), id_)
        if len(runs) > 1:
            message = f"{' and '.join(runs.values())} are of different runs"
            raise NotMeasuredError(message)

    def fewest(self, ids: Iterable[str]) -> int:
        """Return how many witnesses the one with the fewest has."""
        return min(len(witnesses(self._samples(id_, "wall"))) for id_ in ids)


def achieved(target: Target, figures: Figures) -> Interval:
    if target.rule == "share":
        operands = [figures.share(target.of[0])]
    else:
        operands = [figures.median(each, target.clock) for each in target.of]
    operands[0] = difference(operands[0], Interval(target.spare, target.spare, target.spare))
    return _RULES[target.rule][0](*operands).scaled(_UNITS[target.unit] / target.divide)


def outcome(target: Target, figures: Figures) -> Outcome:
    """Judge a target; what was not measured is said to be so."""
    baseline = None
    if target.beside and figures.record(target.beside):
        baseline = figures.median(target.beside, target.clock)
    try:
        figures.check_run(target.of)
        value = achieved(target, figures)
    except NotMeasuredError as error:
        return Outcome(target, "not measured", None, baseline, str(error))
    count = figures.fewest(target.of)
    too_few = "1 sample is too few" if count == 1 else f"{count} samples are too few"
    reason = "" if value.known else too_few
    return Outcome(target, target.state(value), value, baseline, reason)
