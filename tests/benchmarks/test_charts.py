# SPDX-License-Identifier: Apache-2.0
"""Charts: few lines that differ without colour, honest axes, small pictures."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from stored_runs import HOSTILE, make_store, sizes_suite, write_run

from benchmarks import suites
from benchmarks.harness import charts
from benchmarks.harness.charts import DASHES, Line
from benchmarks.harness.stats import Interval
from benchmarks.harness.store import Store
from benchmarks.harness.summary import Row, summarize
from benchmarks.harness.svg import INKS, STYLE, alone

SVG = "{http://www.w3.org/2000/svg}"
DAY = "2026-01-06T08:00:00+00:00"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    store = make_store(tmp_path_factory.mktemp("store"), factor=1.12)
    return {row.id: row for row in summarize(store, []).rows}


def a_line(name: str, role: str = "ours", factor: float = 1.0, *, known: bool = True) -> Line:
    medians = [
        Interval(size * factor, size * factor * 0.5, size * factor * 2)
        if known
        else Interval(size * factor)
        for size in (1, 10, 100)
    ]
    return Line(name, role, list(zip((1, 10, 100), medians, strict=True)))


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(alone(svg).replace(":var(--", ":(").replace(" href=", " target="))


def strokes(svg: str, ink: str) -> list[list[tuple[float, float]]]:
    """Return the paths of a colour that are no markers, as points."""
    found = []
    for path in drawn(svg).iter(f"{SVG}path"):
        if f"stroke:({ink})" in path.get("style", "") and not path.get("id"):
            numbers = [float(each) for each in re.findall(r"-?[\d.]+", path.get("d", ""))]
            found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in drawn(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", suites.NAMES)
def test_the_lines_of_a_chart_differ_without_colour(name: str) -> None:
    cases = suites.load_suite(name).cases
    for word in {case.chart for case in cases} - {"", charts.EVERY_CHART}:
        drawn = [case for case in cases if case.chart in {word, charts.EVERY_CHART}]
        lines = {case.line: case.role for case in drawn}
        assert all(len(line) <= 24 for line in lines), (word, list(lines))
        styles = charts.line_styles([Line(line, role, []) for line, role in lines.items()])
        assert len({style["marker"] for style in styles}) == len(lines)
        assert [style["linestyle"] for style in styles] == [DASHES[role] for role in lines.values()]


def test_both_axes_are_logarithmic_and_have_units() -> None:
    svg = charts.over_sizes("t", [a_line("ours", factor=1e-3)], "layers").svg
    (line,) = [each for each in strokes(svg, "s0") if len(each) == 3 and each[2][0] < 320]
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert y2 < y0
    said = texts(svg)
    assert {"1", "10", "100", "layers", "time of a call"} <= set(said)
    assert any(re.fullmatch(r"1 ms", each) for each in said)


def test_intervals_are_drawn_where_they_are_known() -> None:
    bare = charts.over_sizes("t", [a_line("a", known=False)], "MB")
    known = charts.over_sizes("t", [a_line("a")], "MB")
    assert "intervals" in known.note
    assert "intervals" not in bare.note
    wide = [each for each in drawn(known.svg).iter() if "stroke-opacity" in each.get("style", "")]
    assert not [e for e in drawn(bare.svg).iter() if "stroke-opacity" in e.get("style", "")]
    (bars,) = wide
    assert bars.get("d", "").count("M") == 3


def test_names_stand_apart_beside_the_ends_of_their_lines() -> None:
    lines = [a_line(f"line {i}", factor=1 + 0.001 * i) for i in range(charts.MOST_LINES)]
    svg = charts.over_sizes("t", lines, "MB").svg
    places = {
        each.text: float(each.get("y", 0))
        for each in drawn(svg).iter(f"{SVG}text")
        if (each.text or "").startswith("line ")
    }
    assert sorted(places, key=lambda name: -places[name]) == [line.name for line in lines]
    gaps = np.diff(sorted(places.values()))
    assert min(gaps) > 10
    assert 0 < min(places.values()) < max(places.values()) < 240


def test_copies_stand_on_every_chart_of_their_unit(rows: dict[str, Row]) -> None:
    mine = [row for row in rows.values() if row.id.startswith("numpy_vs_legacy/")]

    def at(row: Row, **case: object) -> Row:
        return replace(row, record=replace(row.record, case={**row.case, **case}))

    moved = [at(row, chart="*" if row.case["role"] == "copy" else row.case["line"]) for row in mine]
    found = charts.of_suite(moved)
    assert [chart.heading for chart in found] == ["numpy", "into", "legacy"]
    assert all("copy" in texts(chart.svg) for chart in found)
    away = charts.of_suite(
        [at(row, size_unit="layers") if row.case["role"] == "copy" else row for row in moved]
    )
    assert not any("copy" in texts(chart.svg) for chart in away)


def test_every_sample_is_drawn_in_order_and_beside_the_base(rows: dict[str, Row]) -> None:
    row = rows["numpy_vs_legacy/numpy_into_4mb"]
    assert row.base is not None
    svg = charts.samples(row, "previous").svg
    points: dict[str, list[tuple[float, float]]] = {}
    for use in drawn(svg).iter(f"{SVG}use"):
        points.setdefault(use.get("target", ""), []).append(
            (float(use.get("x", 0)), float(use.get("y", 0)))
        )
    ours, base = (points[name] for name in sorted(points, key=lambda name: points[name]))
    far = re.search(r"(\d+) far sample", charts.samples(row, "previous").note)
    walls = np.array([sample.wall for sample in row.record.samples])
    beyond = int(far[1]) if far else 0
    assert len(ours) + len(base) == 200 - beyond
    order = ours
    assert [x for x, _ in order] == sorted(x for x, _ in order)
    inside = walls[np.argsort(walls)[: len(order)]]
    kept = walls[walls <= inside.max()]
    assert np.corrcoef(kept, [-y for _, y in order])[0, 1] > 0.9999
    scale = np.polyfit(kept, [y for _, y in order], 1)
    before = np.sort([sample.wall for sample in row.base.samples])[: len(base)]
    assert sorted((y for _, y in base), reverse=True) == pytest.approx(
        np.polyval(scale, before), abs=0.5
    )
    assert {"this run, 100 samples", "previous, 100 samples"} <= set(texts(svg))
    assert max(x for x, _ in ours) < min(x for x, _ in base)


def uprights(svg: str) -> int:
    return sum(len({x for x, _ in path}) == 1 for path in strokes(svg, "line"))


def test_processes_are_parted_where_there_are_several(tmp_path: Path) -> None:
    store = Store(tmp_path, "m")
    write_run(store, sizes_suite(), DAY, processes=4)
    (row, *_) = summarize(store, []).rows
    chart = charts.samples(row, "previous")
    assert "part processes" in chart.note
    assert uprights(chart.svg) == 3
    first = replace(row, record=replace(row.record, samples=row.record.samples[:25]))
    assert "part processes" not in charts.samples(first, "previous").note
    assert uprights(charts.samples(first, "previous").svg) == 0


def test_the_same_figures_make_the_same_small_picture(rows: dict[str, Row]) -> None:
    mine = [row for row in rows.values() if row.id.startswith("numpy_vs_legacy/")]
    (first,), (second,) = charts.of_suite(mine), charts.of_suite(mine)
    assert first.svg == second.svg
    eight = [a_line(f"line {i}", factor=2.0**i) for i in range(charts.MOST_LINES)]
    assert len(alone(charts.over_sizes("t", eight, "MB").svg)) < 12_000
    assert not re.search(r"\d\.\d\d", re.sub(r">[^<]*<", "><", first.svg))


def test_texts_stay_texts(rows: dict[str, Row]) -> None:
    svg = charts.over_sizes(HOSTILE, [a_line(HOSTILE)], HOSTILE + " $x^2$").svg
    assert HOSTILE in texts(svg)
    assert HOSTILE + " $x^2$" in texts(svg)
    assert "<img" not in svg
    row = rows["peers/int4_swift"]
    assert "<img" not in charts.samples(row, HOSTILE).svg


def test_every_colour_is_one_of_the_light_and_of_the_dark(rows: dict[str, Row]) -> None:
    svg = charts.samples(rows["peers/int4_swift"], "previous").svg
    used = set(re.findall(r"var\(--([a-z]+\d?)\)", svg))
    assert used <= set(INKS)
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    for name in INKS:
        assert STYLE.count(f"--{name}:") == 2
    light = STYLE.partition("@media screen and (prefers-color-scheme:dark)")[0]
    assert all(f"--{name}:" in light for name in INKS)


def test_bars_are_as_long_as_their_times() -> None:
    members = [("ours", "ours", 1e-3), ("a copy", "copy", 2e-3), ("other", "peer", 8e-3)]
    svg = charts.bars("t", [("a job", members)]).svg
    widths = []
    for path in drawn(svg).iter(f"{SVG}path"):
        numbers = [float(each) for each in re.findall(r"-?[\d.]+", path.get("d", ""))]
        widths.append(max(numbers[::2]) - min(numbers[::2]))
    assert [each / widths[0] for each in widths] == pytest.approx([1, 2, 8], rel=0.01)
    assert {"a job", "ours", "1.00 ms", "8.00 ms"} <= set(texts(svg))
