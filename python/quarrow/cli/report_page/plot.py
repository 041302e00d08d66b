# SPDX-License-Identifier: Apache-2.0
"""Where the dots of the error plot lie."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from quarrow.file_report import LayerReport

# The drawing's own units. The page stretches them to any width; dots and lines keep their size.
WIDTH, HEIGHT = 1000, 240
_MOST_STEPS = 6


class Series(NamedTuple):
    """The layers of one format."""

    format: str
    path: str


class ErrorPlot(NamedTuple):
    """SQNR of the layers in the order of the file."""

    width: int
    height: int
    low: int
    high: int
    ticks: list[int]
    series: list[Series]
    drawn: int
    exact: int


def error_plot(layers: Sequence[LayerReport]) -> ErrorPlot | None:
    """Return the plot; None when no layer has a finite SQNR."""
    values = [
        (layer.format or "", layer.error["sqnr_db"]) for layer in layers if layer.error is not None
    ]
    points = [(name, value) for name, value in values if math.isfinite(value)]
    if not points:
        return None
    ticks = _ticks([value for _, value in points])
    low, high = ticks[0], ticks[-1]
    paths: dict[str, list[str]] = {}
    for index, (name, value) in enumerate(points):
        x = (index + 0.5) / len(points) * WIDTH
        y = (high - value) / (high - low) * HEIGHT
        # A line of no length with round ends is a dot.
        paths.setdefault(name, []).append(f"M{x:.1f} {y:.1f}h0")
    return ErrorPlot(
        width=WIDTH,
        height=HEIGHT,
        low=low,
        high=high,
        ticks=ticks[::-1],
        series=[Series(name, "".join(path)) for name, path in paths.items()],
        drawn=len(points),
        exact=sum(value == math.inf for _, value in values),
    )


def _ticks(values: Sequence[float]) -> list[int]:
    """Return round numbers at equal distances, around all values."""
    step = 1
    for factor in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        step = factor
        low, high = math.floor(min(values) / step), math.ceil(max(values) / step)
        if high - low <= _MOST_STEPS:
            break
    return [each * step for each in range(low, max(high, low + 1) + 1)]
