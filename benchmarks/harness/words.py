# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them."""

from collections import Counter
from collections.abc import Iterable

from benchmarks.harness.changes import Change
from benchmarks.harness.stats import Interval

_TIME_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
_SIGNS = {
    "<=": "\u2264",
    ">=": "\u2265",
    " us": " \u00b5s",
    " x": " \N{MULTIPLICATION SIGN}",
    "-": "\N{MINUS SIGN}",
}


def typeset(text: str) -> str:
    """Return figures in words with the signs that a page has."""
    for word, sign in _SIGNS.items():
        text = text.replace(word, sign)
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
    for name, length in _TIME_UNITS:
        # 999.6 us are 1 ms to three digits.
        if abs(seconds) >= 0.9995 * length:
            return name, length
    return _TIME_UNITS[-1]


def time_text(seconds: float) -> str:
    """Return a time in its unit: "1.24 ms"."""
    name, length = time_unit(seconds)
    return f"{digits(seconds / length)} {name}"


def interval_text(value: Interval, unit: str = "") -> str:
    """Return "1.24 [1.20, 1.31] unit", and the bare figure where the interval is not known."""
    text = digits(value.value)
    if value.known:
        text += f" [{digits(value.low)}, {digits(value.high)}]"
    return f"{text} {unit}".rstrip()


def time_interval_text(value: Interval) -> str:
    """Return a time and its interval in one unit."""
    name, length = time_unit(value.value)
    return interval_text(value.scaled(1 / length), name)


def change_text(ratio: Interval) -> str:
    """Return a ratio of times as a change: "+7.1 [+6.0, +8.3] %"."""
    numbers = [ratio.value, ratio.low, ratio.high] if ratio.known else [ratio.value]
    first, *rest = (f"{100 * (each - 1):+.1f}" for each in numbers)
    return f"{first} [{', '.join(rest)}] %" if rest else f"{first} %"


def counted(words: Iterable[str]) -> str:
    """Return how often each word is there: "3 met, 1 missed"."""
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
    if abs(count) >= 1e6:
        return f"{digits(count / 1e6)} MB"
    return f"{digits(count / 1e3)} kB"


def duration_text(seconds: float) -> str:
    """Return how long a person waits: "21 min", "40 s"."""
    if seconds >= 90:
        return f"{seconds / 60:.0f} min"
    return f"{max(seconds, 1):.0f} s"
