# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them, and the columns of every table of benchmarks."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from benchmarks.harness.changes import Change
from benchmarks.harness.stats import Interval
from benchmarks.harness.summary import Row

_TIME_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
_SIGNS = {
    "<=": "\u2264",
    ">=": "\u2265",
    r" us\b": " \u00b5s",
    r" x\b": " \N{MULTIPLICATION SIGN}",
    r"(?<![\w-])-(?=\d)": "\N{MINUS SIGN}",
}


def typeset(text: str) -> str:
    """Return figures in words with the signs that a page has."""
    for word, sign in _SIGNS.items():
        text = re.sub(word, sign, text)
    return text


def digits(value: float) -> str:
    """Return three significant digits, without an exponent."""
    # 99.96 is 100, not 100.0.
    for places, least in enumerate((99.95, 9.995, 0.9995)):
        if abs(value) >= least:
            return f"{value:,.{places}f}"
    return f"{value:.3f}" if value else "0"


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which a time has few digits, and its length in seconds."""
    # 999.6 us are 1 ms to three digits.
    fitting = (unit for unit in _TIME_UNITS if abs(seconds) >= 0.9995 * unit[1])
    return next(fitting, _TIME_UNITS[-1])


def time_text(seconds: float) -> str:
    """Return a time in its unit: "1.24 ms"."""
    name, length = time_unit(seconds)
    return f"{digits(seconds / length)} {name}"


def interval_text(value: Interval, unit: str = "", form: Callable[[float], str] = digits) -> str:
    """Return "1.24 [1.20, 1.31] unit", and the bare figure where the interval is not known."""
    text = form(value.value)
    if value.known:
        text += f" [{form(value.low)}, {form(value.high)}]"
    return f"{text} {unit}".rstrip()


def time_interval_text(value: Interval) -> str:
    name, length = time_unit(value.value)
    return interval_text(value.scaled(1 / length), name)


def change_text(ratio: Interval) -> str:
    """Return a ratio of times as a change: "+7.1 [+6.0, +8.3] %"."""
    return interval_text(ratio, "%", lambda each: f"{100 * (each - 1):+.1f}")


def counted(words: Iterable[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).items())


def compared_text(found: Iterable[Change]) -> str:
    """Count verdicts, and what has none."""
    return counted(each.verdict or f"with {each.reason}" for each in found)


def rate_text(bytes_per_second: float) -> str:
    """Return a throughput: "12.3 GB/s"."""
    if bytes_per_second >= 1e9:
        return f"{digits(bytes_per_second / 1e9)} GB/s"
    return f"{digits(bytes_per_second / 1e6)} MB/s"


def bytes_text(count: float) -> str:
    """Return a size: "4.00 MB"."""
    return f"{digits(count / 1e6)} MB" if abs(count) >= 1e6 else f"{digits(count / 1e3)} kB"


def duration_text(seconds: float) -> str:
    """Return how long a person waits: "21 min", "40 s"."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"


@dataclass(frozen=True)
class Cell:
    """A figure of a table: its words, what it is sorted by, and what it is beside."""

    words: str = ""
    sort: float | str = ""
    beside: str = ""

    @property
    def bare(self) -> str:
        """A ratio without its interval and unit."""
        return self.words.partition(" [")[0].removesuffix(" x")


def _ratio(value: Interval | None, beside: str) -> Cell:
    return Cell(interval_text(value, "x"), value.value, beside) if value else Cell()


def _rate(value: Interval | None) -> Cell:
    return Cell(rate_text(value.value), value.value) if value else Cell()


def _change(change: Change | None) -> Cell:
    return Cell(change_text(change.ratio), change.ratio.value, change.reason) if change else Cell()


COLUMNS: Mapping[str, Callable[[Row], Cell]] = {
    "Median": lambda row: Cell(time_interval_text(row.estimate.median), row.estimate.median.value),
    "CPU": lambda row: Cell(time_text(row.cpu), row.cpu),
    "Throughput": lambda row: _rate(row.throughput),
    "To copy": lambda row: _ratio(row.to_copy, row.case["copy"]),
    "To legacy": lambda row: _ratio(row.to_legacy, row.case["legacy"]),
    "To best peer": lambda row: _ratio(row.to_peer, row.best_peer),
    "Against": lambda row: _change(row.change),
    "Samples": lambda row: Cell(row.samples_text.replace(" samples", ""), row.estimate.samples),
}
