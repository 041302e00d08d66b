# SPDX-License-Identifier: Apache-2.0
"""Every picture of the pages and of the documents; nothing is told by colour alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.harness.stats import Interval
from benchmarks.harness.store import Record
from benchmarks.harness.summary import Row
from benchmarks.harness.svg import INKS, svg_of
from benchmarks.harness.words import time_text, time_unit, typeset

MOST_LINES = 8
DASHES = {"ours": "-", "copy": "--", "legacy": ":", "peer": "-.", "control": ":"}
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<")
EVERY_CHART = "*"
# Samples further beyond the quartiles than so many quartile distances are left of the frame.
FRAME = 6


@dataclass(frozen=True)
class Chart:
    """A picture, and what it says in words."""

    heading: str
    note: str
    svg: str


@dataclass(frozen=True)
class Line:
    """Medians over sizes."""

    name: str
    role: str
    points: list[tuple[float, Interval]]


def lines_of(rows: Sequence[Row]) -> list[Line]:
    found: dict[str, Line] = {}
    for row in sorted(rows, key=lambda each: float(each.case["size"])):
        name = row.case["line"] or row.case["id"]
        line = found.setdefault(name, Line(name, row.case["role"], []))
        line.points.append((row.case["size"], row.estimate.median))
    return list(found.values())


def line_styles(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return how each line looks; no two have one marker, and a dash tells the role."""
    return [
        {
            "linestyle": DASHES[line.role],
            "marker": MARKERS[index],
            "markeredgewidth": 0,
            "color": INKS["ink" if line.role == "copy" else f"s{index}"],
            "linewidth": 2 if line.role in {"ours", "copy"} else 1.2,
        }
        for index, line in enumerate(lines)
    ]


def _name_times(axes: Axes) -> None:
    """Name powers of ten on a logarithmic axis of seconds, and what lies between if few do."""
    low, high = axes.get_ylim()
    decades = math.log10(high / low)
    between = (1,) if decades > 3 else (1, 2, 5) if decades > 1 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    axes.yaxis.set_major_locator(LogLocator(subs=between))
    axes.yaxis.set_major_formatter(
        lambda tick, _: typeset(f"{tick / time_unit(tick)[1]:g} {time_unit(tick)[0]}")
    )


def _name_sizes(axes: Axes, sizes: Sequence[float]) -> None:
    """Name the sizes, but for those that stand too close beside one that is named."""
    room = 0.09 * math.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else 0
    named: list[float] = []
    for size in sizes:
        if not named or math.log(size / named[-1]) > room:
            named.append(size)
    axes.set_xticks(named, [f"{float(f'{size:.3g}'):,g}" for size in named])


def over_sizes(heading: str, lines: Sequence[Line], unit: str) -> Chart:
    """Draw times over sizes, both logarithmic, with the intervals that are known."""
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.add_axes((0.11, 0.14, 0.58, 0.82), xscale="log", yscale="log")
    axes.set(xlabel=unit, ylabel="time of a call")
    intervals = False
    named = {}
    for line, style in zip(lines, line_styles(lines), strict=True):
        x, y = zip(*line.points, strict=True)
        (named[line.name],) = axes.plot(x, [each.value for each in y], **style)
        known = [(at, each) for at, each in line.points if each.known]
        # One stroke with gaps is a third of the picture.
        ends = np.ravel([(each.low, each.high, np.nan) for _, each in known])
        places = np.repeat([at for at, _ in known], 3)
        axes.plot(places, ends, color=style["color"], linewidth=4, alpha=0.35)
        intervals |= bool(known)
    _name_sizes(axes, sorted({at for line in lines for at, _ in line.points}))
    _name_times(axes)
    axes.minorticks_off()
    # In the order of the lines' ends: no name is on another, and each is easily found.
    order = sorted(lines, key=lambda line: -line.points[-1][1].value)
    handles = [named[line.name] for line in order]
    names = [line.name for line in order]
    axes.legend(handles, names, loc="center left", bbox_to_anchor=(1.02, 0.5))
    note = (
        "Medians, both axes logarithmic; lower is faster."
        + " Bars are intervals, where there are six samples." * intervals
    )
    if any(line.role == "copy" for line in lines):
        note += " Dashed are copies of the input."
    return Chart(heading, note, svg_of(figure))


def of_suite(rows: Sequence[Row]) -> list[Chart]:
    """Return the charts of a suite: one for each word that its cases name, the copies on each."""
    drawn = [row for row in rows if row.case["size"] and row.case["chart"]]
    found = []
    for word in dict.fromkeys(row.case["chart"] for row in drawn):
        mine = [row for row in drawn if row.case["chart"] == word]
        unit = mine[0].case["size_unit"]
        everywhere = [row for row in drawn if row.case["chart"] == EVERY_CHART]
        copies = [row for row in everywhere if row.case["size_unit"] == unit]
        lines = lines_of([*copies, *mine])[:MOST_LINES]
        several = any(len(line.points) > 1 for line in lines if line.role != "copy")
        if several and word != EVERY_CHART:
            found.append(over_sizes(word, lines, unit))
    return found


def _frame(walls: Sequence[Any]) -> tuple[float, float, int]:
    """Return the range of an axis of samples, and how many of them are beyond it."""
    low, high = min(x.min() for x in walls), max(x.max() for x in walls)
    quartiles = [np.quantile(x, [0.25, 0.75]) for x in walls]
    far = max(third + FRAME * (third - first) for first, third in quartiles)
    top = far if low < far < high else high
    margin = 0.06 * (top - low) or 0.05 * top
    return low - margin, top + margin, sum(int(np.count_nonzero(x > top)) for x in walls)


def _steps(record: Record) -> list[float]:
    """Return where in the order of the samples another process begins."""
    processes = [sample.process for sample in record.samples]
    return [at + 0.5 for at in range(1, len(processes)) if processes[at] != processes[at - 1]]


def samples(row: Row, baseline: str) -> Chart:
    """Draw every sample in the order in which they were taken, those of the base beside them."""
    median, steps = row.estimate.median, _steps(row.record)
    name, length = time_unit(median.value)
    shown = [("this run", row.record, "s0", "o")]
    if row.base:
        shown.append((baseline, row.base, "soft", "x"))
    walls = [np.array([sample.wall for sample in each.samples]) / length for _, each, *_ in shown]
    low, high, beyond = _frame(walls)
    figure = Figure(figsize=(6.4, 2.6))
    axes = figure.add_axes((0.1, 0.17, 0.89, 0.8), ylim=(low, high), xlabel="in the order taken")
    axes.set_ylabel(typeset(f"time of a call, {name}"))
    axes.locator_params(axis="y", nbins=4)
    axes.grid(visible=False, axis="x")
    if median.known:
        axes.axhspan(median.low / length, median.high / length, color=INKS["line"], zorder=0)
    axes.vlines(steps, low, high, color=INKS["line"], linewidth=0.6)
    start = 0.0
    places = {}
    for x, (who, _, ink, marker) in zip(walls, shown, strict=True):
        inside = np.flatnonzero(x <= high)
        look: dict[str, Any] = {"linestyle": "none", "markersize": 3, "fillstyle": "none"}
        axes.plot(start + inside + 1, x[inside], marker=marker, color=INKS[ink], **look)
        axes.hlines(np.median(x), start + 1, start + len(x), color=INKS["ink"], linewidth=1)
        places[start + (len(x) + 1) / 2] = f"{who[:14]}, {len(x)} samples"
        start += 1.06 * len(x) + 1
    axes.set_xlim(0, start)
    axes.set_xticks(list(places), list(places.values()))
    note = "A slope is drift, a step a process or a neighbour; the lines are medians."
    note += " Upright lines part processes." * bool(steps)
    if beyond:
        note += f" {beyond} far sample{'s lie' if beyond > 1 else ' lies'} above the frame."
    return Chart("Samples", note, svg_of(figure))


def bars(heading: str, groups: Sequence[tuple[str, Sequence[tuple[str, str, float]]]]) -> Chart:
    """Draw a bar for each (name, role, seconds), those of a group below each other."""
    count = 1.3 + sum(len(each) + 1.6 for _, each in groups)
    figure = Figure(figsize=(7.2, 0.19 * count))
    axes = figure.add_axes((0.17, 0, 0.7, 1))
    axes.set_axis_off()
    axes.set_ylim(count - 0.1, 0.3)
    aside: dict[str, Any] = {"va": "center", "transform": axes.get_yaxis_transform()}
    axes.text(-0.2, 1, heading, color=INKS["soft"], **aside)
    y = 1.3
    for title, members in groups:
        y += 1
        axes.text(-0.2, y, title, weight="bold", color=INKS["ink"], **aside)
        for name, role, seconds in members:
            y += 1
            ink = {"ours": "s0", "copy": "soft"}.get(role, "s1")
            axes.barh(y, seconds, height=0.7, color=INKS[ink], linewidth=0)
            words: dict[str, Any] = {"va": "center_baseline", "color": INKS["ink"]}
            weight = "bold" if role == "ours" else "normal"
            axes.annotate(name, (0, y), (-4, 0), textcoords="offset points", ha="right",
                          weight=weight, **words)  # fmt: skip
            axes.annotate(typeset(time_text(seconds)), (seconds, y), (4, 0),
                          textcoords="offset points", weight=weight, **words)  # fmt: skip
        y += 0.6
    return Chart(heading, "Shorter is faster.", svg_of(figure))
