# SPDX-License-Identifier: Apache-2.0
"""The plots of a suite's page: time and throughput over sizes, or benchmarks side by side."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness.plots import (
    SERIES,
    SYMBOLS,
    Plot,
    Trace,
    axis,
    plain,
    rounded,
    typeset,
)
from benchmarks.harness.stats import Interval
from benchmarks.harness.summary import Row
from benchmarks.harness.words import rate_text, time_interval_text, time_unit


def line_styles(lines: dict[str, list[Row]]) -> dict[str, dict[str, Any]]:
    """Return how each line looks: copies thick and dashed, lists and peers dotted, ours full."""
    styles: dict[str, dict[str, Any]] = {}
    copies = others = 0
    for name, rows in lines.items():
        role = rows[0].case["role"]
        if role == "copy":
            styles[name] = {
                "line": {"color": "--ink", "width": 3.5, "dash": ("dash", "dot")[copies % 2]},
                "marker": {"color": "--ink", "size": 8, "symbol": "x"},
            }
            copies += 1
            continue
        colour = SERIES[others % len(SERIES)]
        dash = "solid" if role == "ours" else "longdashdot"
        # When the colours begin anew, each has another symbol than before.
        symbol = SYMBOLS[(others + others // len(SERIES)) % len(SYMBOLS)]
        styles[name] = {
            "line": {"color": colour, "width": 2, "dash": dash},
            "marker": {"color": colour, "size": 8, "symbol": symbol},
        }
        others += 1
    return styles


def _points(rows: list[Row], figures: list[Interval], texts: list[str]) -> Trace:
    return {
        "type": "scatter",
        "x": [row.case["size"] for row in rows],
        "y": rounded(np.array([each.value for each in figures])),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": rounded(np.array([max(each.high - each.value, 0) for each in figures])),
            "arrayminus": rounded(np.array([max(each.value - each.low, 0) for each in figures])),
            "thickness": 1,
            "width": 3,
        },
        "mode": "lines+markers",
        "text": texts,
        "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
    }


def _tick_time(seconds: float) -> str:
    name, length = time_unit(seconds)
    return typeset(f"{seconds / length:g} {name}")


def _tick_rate(rate: float) -> str:
    return f"{rate / 1e9:g} GB/s" if rate >= 1e9 else f"{rate / 1e6:g} MB/s"


def _log_axis(
    title: str, traces: list[Trace], key: str, text: Callable[[float], str]
) -> dict[str, Any]:
    """Return an axis that names powers of ten, and 2 and 5 times them where those are few."""
    values = [value for trace in traces for value in trace[key]]
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    digits = (1, 2, 5) if len(decades) < 5 else (1,)
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
    return axis(title, type="log", tickvals=ticks, ticktext=[text(tick) for tick in ticks])


def scaling(rows: list[Row]) -> list[Plot]:
    """Show times, and throughput where it means something, over sizes; a plot for each unit."""
    plots = []
    drawn = [row for row in rows if row.case["line"] and row.case["size"] > 0]
    for unit in dict.fromkeys(row.case["size_unit"] for row in drawn):
        lines: dict[str, list[Row]] = {}
        for row in sorted(drawn, key=lambda each: float(each.case["size"])):
            if row.case["size_unit"] == unit:
                lines.setdefault(row.case["line"], []).append(row)
        points = [name for name in lines if len({each.case["size"] for each in lines[name]}) < 2]
        long = {name: mine for name, mine in lines.items() if name not in points}
        if not any(mine[0].case["role"] != "copy" for mine in long.values()):
            continue
        left_out = ""
        if points:
            left_out = f" {len(points)} of one size alone {'are' if len(points) > 1 else 'is'} in"
            left_out += " the table only."
        styles = line_styles(long)
        plots.append(_time_over_size(long, styles, unit, left_out))
        moving = {
            name: kept
            for name, mine in long.items()
            if len(kept := [row for row in mine if row.throughput]) > 1
        }
        if moving:
            plots.append(_throughput_over_size(moving, styles, unit))
    return plots


def _size_axis(lines: dict[str, list[Row]], unit: str) -> dict[str, Any]:
    sizes = sorted({row.case["size"] for rows in lines.values() for row in rows})
    words = [f"{size:g}" for size in sizes]
    return axis(plain(f"size, {unit}"), type="log", tickvals=sizes, ticktext=words)


def _time_over_size(
    lines: dict[str, list[Row]], styles: dict[str, dict[str, Any]], unit: str, left_out: str
) -> Plot:
    traces = []
    for name, rows in lines.items():
        medians = [row.estimate.median for row in rows]
        words = [typeset(time_interval_text(each)) for each in medians]
        traces.append({**_points(rows, medians, words), "name": plain(name), **styles[name]})
    copied = any(rows[0].case["role"] == "copy" for rows in lines.values())
    return Plot(
        f"time-{_slug(unit)}",
        f"Time over {unit}",
        "Medians with intervals, both axes logarithmic."
        + " The thick dashed lines are copies of the input." * copied
        + left_out,
        traces,
        {
            "xaxis": _size_axis(lines, unit),
            "yaxis": _log_axis("time of a call", traces, "y", _tick_time),
            "height": 440,
            "showlegend": True,
        },
    )


def _throughput_over_size(
    lines: dict[str, list[Row]], styles: dict[str, dict[str, Any]], unit: str
) -> Plot:
    traces = []
    for name, rows in lines.items():
        rates = [row.throughput for row in rows if row.throughput]
        words = [rate_text(each.value) for each in rates]
        traces.append({**_points(rows, rates, words), "name": plain(name), **styles[name]})
    return Plot(
        f"throughput-{_slug(unit)}",
        f"Throughput over {unit}",
        "Bytes of the input a second; higher is better.",
        traces,
        {
            "xaxis": _size_axis(lines, unit),
            "yaxis": _log_axis("throughput", traces, "y", _tick_rate),
            "height": 440,
            "showlegend": True,
        },
    )


def _slug(text: str) -> str:
    return "".join(each if each.isalnum() else "-" for each in text.lower())


def side_by_side(rows: list[Row]) -> Plot:
    """Show the medians of benchmarks that are on no line, one below the other."""
    roles = dict.fromkeys(row.case["role"] for row in rows)
    traces = []
    for index, role in enumerate(roles):
        mine = [row for row in rows if row.case["role"] == role]
        colour = "--ink" if role == "copy" else SERIES[index % len(SERIES)]
        medians = [row.estimate.median for row in mine]
        trace = _points(mine, medians, [typeset(time_interval_text(each)) for each in medians])
        symbol = "x" if role == "copy" else SYMBOLS[index % len(SYMBOLS)]
        traces.append(
            {
                **trace,
                "x": trace["y"],
                "y": [plain(row.case["id"]) for row in mine],
                "error_x": trace["error_y"],
                "error_y": {"visible": False},
                "mode": "markers",
                "name": plain(role),
                "marker": {"color": colour, "size": 9, "symbol": symbol},
            }
        )
    return Plot(
        "side-by-side",
        "Side by side",
        "Medians with intervals on a logarithmic axis; left is faster.",
        traces,
        {
            "xaxis": _log_axis("time of a call", traces, "x", _tick_time),
            "yaxis": {
                "categoryorder": "array",
                "categoryarray": [plain(row.case["id"]) for row in rows],
                "autorange": "reversed",
                "dtick": 1,
            },
            "height": 140 + 22 * len(rows),
            "showlegend": True,
        },
    )


def of_suite(rows: list[Row]) -> list[Plot]:
    """Return the plots of a suite's page."""
    return scaling(rows) or [side_by_side(rows)]
