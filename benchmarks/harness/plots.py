# SPDX-License-Identifier: Apache-2.0
"""The plots of a benchmark's page, as plotly's JSON, and what all plots share.

A colour is the name of a custom property of report.css ("--ink"): report.js puts in what the
property is for the reader's scheme, and on paper. Text of the store goes through `plain`, since
plotly takes some markup in text for markup.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness.stats import Values
from benchmarks.harness.store import Record
from benchmarks.harness.summary import Row
from benchmarks.harness.words import time_text, time_unit

Trace = dict[str, Any]

SERIES = tuple(f"--series{index}" for index in range(8))
SYMBOLS = (
    "circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star", "hexagon",
)  # fmt: skip
STAGE_WORDS = {"view": "take the input", "alloc": "allocate", "core": "core", "export": "hand out"}
_SIGNS = {
    "<=": "\u2264",
    ">=": "\u2265",
    " us": " \u00b5s",
    " x": " \N{MULTIPLICATION SIGN}",
    "-": "\N{MINUS SIGN}",
}
# Samples further beyond the quartiles than so many quartile distances are left of the frame.
FRAME = 6
BASE = {"color": "--base", "dash": "dash", "width": 2}


@dataclass(frozen=True)
class Plot:
    """A figure, and what it says in words."""

    name: str
    heading: str
    note: str
    traces: list[Trace]
    layout: dict[str, Any]


def plain(text: str) -> str:
    """Return text as plotly shows it: without markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def typeset(text: str) -> str:
    """Return figures in words with the signs that a page has."""
    for word, sign in _SIGNS.items():
        text = text.replace(word, sign)
    return text


def _unit(row: Row) -> tuple[str, float]:
    """Return the title of an axis of times, and the seconds of its unit."""
    name, length = time_unit(row.estimate.median.value)
    return typeset(f"time of a call, {name}"), length


def rounded(values: Values) -> list[float]:
    """Return values with the digits that a plot shows."""
    return [float(f"{value:.6g}") for value in values]


def _samples(record: Record, unit: float) -> Values:
    return np.array([sample.wall for sample in record.samples]) / unit


def axis(title: str, **rest: Any) -> dict[str, Any]:
    """Return an axis with its title."""
    return {"title": {"text": title}, **rest}


def _frame(every: Sequence[Values]) -> tuple[list[float], str]:
    """Return the range of an axis of samples, and how many of them are beyond it."""
    low = min(float(x.min()) for x in every)
    high = max(float(x.max()) for x in every)
    quartiles = [np.quantile(x, [0.25, 0.75]) for x in every]
    far = max(float(third + FRAME * (third - first)) for first, third in quartiles)
    right = far if low < far < high else high
    beyond = sum(int(np.count_nonzero(x > right)) for x in every)
    margin = 0.05 * (right - low) or 0.05 * right
    said = f" {beyond} far sample{'s lie' if beyond > 1 else ' lies'} beyond the right edge."
    return [low - margin, right + margin], said if beyond else ""


def distribution(row: Row, baseline: str) -> Plot:
    """Show the density, the quartiles and every sample, of the baseline too."""
    title, length = _unit(row)
    both = [("this run", row.record, SERIES[0])]
    if row.base:
        both.insert(0, (plain(baseline), row.base, "--base"))
    traces: list[Trace] = [
        {
            "type": "violin",
            "orientation": "h",
            "name": name,
            "x": rounded(_samples(record, length)),
            "y0": name,
            "side": "positive",
            "points": "all",
            "pointpos": -0.35,
            "jitter": 0.3,
            "box": {
                "visible": True,
                "width": 0.14,
                "fillcolor": "--page",
                "line": {"color": "--ink", "width": 1.5},
            },
            "width": 1.3,
            "spanmode": "hard",
            "line": {"color": color, "width": 1.5},
            "fillcolor": color,
            "marker": {"color": color, "size": 4, "opacity": 0.6},
            "showlegend": False,
            "hoveron": "points+kde",
        }
        for name, record, color in both
    ]
    frame, beyond = _frame([_samples(record, length) for _, record, _ in both])
    return Plot(
        "distribution",
        "Distribution",
        f"Density, quartiles and every sample.{beyond}",
        traces,
        {
            "xaxis": axis(title, range=frame),
            "yaxis": {"showgrid": False},
            "height": 180 + 110 * len(both),
        },
    )


def in_order(row: Row) -> Plot:
    """Show the samples as they were taken: drift, and what a process has of its own."""
    title, length = _unit(row)
    walls = _samples(row.record, length)
    processes = np.array([sample.process for sample in row.record.samples])
    median = row.estimate.median.scaled(1 / length)
    traces: list[Trace] = []
    for index, process in enumerate(np.unique(processes).tolist()):
        places = np.flatnonzero(processes == process)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"process {process + 1}",
                "x": (places + 1).tolist(),
                "y": rounded(walls[places]),
                "marker": {
                    "color": SERIES[index % len(SERIES)],
                    "symbol": SYMBOLS[index % len(SYMBOLS)],
                    "size": 6,
                },
            }
        )
    several = len(traces) > 1
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1}
    return Plot(
        "order",
        "Samples in order",
        "A slope is drift, a step a process or a neighbour; the line is the median with its"
        " interval.",
        traces,
        {
            "xaxis": axis("sample"),
            "yaxis": axis(title),
            "showlegend": several,
            "shapes": [
                {
                    **line,
                    "type": "rect",
                    "y0": median.low,
                    "y1": median.high,
                    "fillcolor": "--band",
                    "line": {"width": 0},
                    "layer": "below",
                },
                {
                    **line,
                    "y0": median.value,
                    "y1": median.value,
                    "line": {"color": "--ink", "width": 1},
                },
            ],
            "height": 360,
        },
    )


def overlay(row: Row, base: Record, baseline: str) -> Plot:
    """Lay the density of this run over that of the baseline."""
    title, length = _unit(row)
    both = [
        ("this run", row.record, SERIES[0], "--band", "solid"),
        (plain(baseline), base, "--base", "--clear", "dash"),
    ]
    traces: list[Trace] = [
        {
            "type": "violin",
            "orientation": "h",
            "name": name,
            "x": rounded(_samples(record, length)),
            "y0": "density",
            "side": "positive",
            "points": False,
            "width": 1.8,
            "spanmode": "hard",
            "meanline": {"visible": False},
            "line": {"color": color, "width": 2},
            "fillcolor": fill,
            "hoveron": "kde",
        }
        for name, record, color, fill, _ in both
    ]
    walls = [_samples(record, length) for _, record, *_ in both]
    frame, beyond = _frame(walls)
    return Plot(
        "overlay",
        f"Beside {baseline}",
        f"Densities; the lines are the medians, dashed that of {baseline}.{beyond}",
        traces,
        {
            "xaxis": axis(title, range=frame),
            "yaxis": {"showgrid": False, "showticklabels": False},
            "violinmode": "overlay",
            "shapes": [
                {
                    "type": "line",
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "x0": float(np.median(x)),
                    "x1": float(np.median(x)),
                    "line": {"color": color, "width": 1.5, "dash": dash},
                }
                for x, (_, _, color, _, dash) in zip(walls, both, strict=True)
            ],
            "height": 320,
        },
    )


def cumulative(row: Row, baseline: str) -> Plot:
    """Show the share of samples below a time."""
    title, length = _unit(row)
    both = [("this run", row.record, {"color": SERIES[0], "width": 2.5})]
    if row.base:
        both.insert(0, (plain(baseline), row.base, dict(BASE)))
    traces: list[Trace] = []
    for name, record, line in both:
        walls = np.sort(_samples(record, length))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": rounded(walls),
                "y": rounded(np.arange(1, len(walls) + 1) / len(walls)),
                "line": {**line, "shape": "hv"},
            }
        )
    frame, beyond = _frame([_samples(record, length) for _, record, _ in both])
    return Plot(
        "ecdf",
        "Cumulative share",
        f"How many of the samples took at most so long.{beyond}",
        traces,
        {
            "xaxis": axis(title, range=frame),
            "yaxis": axis("share of samples", range=[0, 1.03], tickformat=".0%"),
            "showlegend": len(both) > 1,
            "height": 320,
        },
    )


def stage_times(row: Row) -> list[tuple[str, float]]:
    """Return the mean seconds of each stage of a call in order, the time between them last."""
    times = [(STAGE_WORDS[stage], seconds) for stage, seconds in row.stages.items()]
    totals = row.record.by_process("stage_total")
    if totals and row.stages:
        between = float(np.mean(np.concatenate(totals))) - sum(row.stages.values())
        times.append(("between", max(between, 0.0)))
    return times


def waterfall(row: Row) -> Plot:
    """Show where the time of a call goes, one stage after the other."""
    times = stage_times(row)
    total = sum(seconds for _, seconds in times)
    unit, length = time_unit(total)
    seconds = np.array([each for _, each in times])
    starts = np.cumsum(seconds) - seconds
    labels = [f"{word}<br>{typeset(time_text(each))}, {each / total:.1%}" for word, each in times]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": labels,
        "x": rounded(seconds / length),
        "base": rounded(starts / length),
        "marker": {"color": [SERIES[0] if word == "core" else SERIES[1] for word, _ in times]},
        "showlegend": False,
        "hovertemplate": "%{y}<extra></extra>",
    }
    return Plot(
        "stages",
        "Stages of a call",
        "Means of the stamps that each call leaves, one after the other.",
        [trace],
        {
            "xaxis": axis(typeset(f"since the call, {unit}")),
            "yaxis": {"autorange": "reversed", "showgrid": False},
            "height": 300,
        },
    )


def of_benchmark(row: Row, baseline: str) -> list[Plot]:
    """Return the plots of a benchmark's page."""
    plots = [distribution(row, baseline), in_order(row), cumulative(row, baseline)]
    if row.base:
        plots.insert(1, overlay(row, row.base, baseline))
    if row.stages:
        plots.append(waterfall(row))
    return plots
