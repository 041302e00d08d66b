# SPDX-License-Identifier: Apache-2.0
"""The pages in a real browser: they filter, sort, fit, print, and ask nobody for anything."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stored_runs import HOSTILE, hostile_suite, make_store, write_run

from benchmarks.harness.report import write_report
from benchmarks.harness.summary import summarize
from benchmarks.harness.targets import Target

pytestmark = pytest.mark.slow

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 700}
SUITE = "numpy_vs_legacy/index.html"
BENCHMARK = "numpy_vs_legacy/numpy_into_4mb.html"
PAGES = ("index.html", SUITE, BENCHMARK, "peers/index.html", "hostile/markup_4.html")
COLUMNS = {"Benchmark": 1, "Median": 2, "To copy": 5, "To best peer": 7, "Samples": 9}
NUMBER_OF_BENCHMARKS = 19
NARROW = {"width": 500, "height": 900}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report with a slower last run and hostile texts, and return its folder."""
    folder = tmp_path_factory.mktemp("report")
    store = make_store(tmp_path_factory.mktemp("store"), factor=1.12)
    for day in (4, 5):
        write_run(store, hostile_suite(), f"2026-01-0{day}T08:00:00+00:00")
    of = ("numpy_vs_legacy/numpy_into_4mb", "numpy_vs_legacy/copy_4mb")
    targets = [
        Target("beside a copy", "ratio", of, "x", at_most=0.9),
        Target(HOSTILE, "ratio", of, "x", at_most=0.1, peer=HOSTILE, stated=HOSTILE),
    ]
    write_report(summarize(store, targets), folder)
    return folder


@pytest.fixture
def scheme() -> str:
    """Return the colours that a reader prefers; a test may be run for both."""
    return "light"


@pytest.fixture
def page(scheme: str, browser: Any, report: Path) -> Iterator[Any]:
    """Open the index; fail if any page complained, or asked for what is not of the report."""
    context = browser.new_context(color_scheme=scheme, viewport=DESK)
    outside: list[str] = []
    complaints: list[str] = []

    def watch(route: Any) -> None:
        if route.request.url.startswith((report.as_uri(), "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", watch)
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto((report / "index.html").as_uri())
    yield opened
    assert complaints == []
    assert outside == []
    assert opened.title() != "owned"
    context.close()


@pytest.fixture
def show(page: Any, report: Path) -> Callable[[str], Any]:
    """Return what opens a page of the report; its plots are drawn before it is loaded."""

    def open_page(name: str) -> Any:
        page.goto((report / name).as_uri())
        return page

    return open_page


def shown(page: Any, name: str) -> list[str]:
    """Return the first lines of a column's cells, but for rows that are filtered out."""
    cells = page.locator(f"#benchmarks tbody tr:visible > :nth-child({COLUMNS[name]})")
    return [str(text).split("\n")[0] for text in cells.all_inner_texts()]


def sort_keys(page: Any, name: str) -> list[str]:
    keys: list[str] = page.eval_on_selector_all(
        f"#benchmarks tbody tr > :nth-child({COLUMNS[name]})",
        "cells => cells.map(cell => cell.dataset.sort)",
    )
    return keys


def test_the_filter_finds_names_packages_and_jobs(page: Any) -> None:
    everything = shown(page, "Benchmark")
    assert len(everything) == NUMBER_OF_BENCHMARKS
    assert page.inner_text("#count") == f"{NUMBER_OF_BENCHMARKS} benchmarks"
    page.get_by_label("Filter").fill("INTO 4MB")
    assert shown(page, "Benchmark") == ["numpy_into_4mb", "int4_into_4mb"]
    assert page.inner_text("#count") == f"2 of {NUMBER_OF_BENCHMARKS} benchmarks"
    page.get_by_label("Filter").fill("swiftquant peer")
    assert "int4_swift" in shown(page, "Benchmark")
    page.get_by_label("Filter").fill("no such thing")
    assert shown(page, "Benchmark") == []
    page.get_by_label("Filter").fill("")
    assert shown(page, "Benchmark") == everything


def test_choices_narrow_the_table_together(page: Any) -> None:
    page.get_by_role("combobox", name="Suite").select_option("peers")
    assert len(shown(page, "Benchmark")) == 4
    page.get_by_role("combobox", name="Role").select_option("peer")
    assert shown(page, "Benchmark") == ["int4_swift", "int4_slow"]
    page.get_by_role("combobox", name="Suite").select_option("all")
    page.get_by_role("combobox", name="Role").select_option("all")
    page.get_by_role("combobox", name="Verdict").select_option("regressed")
    assert shown(page, "Benchmark") == []  # a baseline has no verdicts


@pytest.mark.parametrize("name", ["Median", "To copy", "To best peer", "Samples"])
def test_a_click_sorts_by_figures_and_another_turns_it_round(page: Any, name: str) -> None:
    button = page.get_by_role("button", name=name)
    header = page.locator("#benchmarks th").filter(has=button)
    button.click()
    assert header.get_attribute("aria-sort") == "ascending"
    keys = sort_keys(page, name)
    rising = [float(key) for key in keys if key]
    assert rising == sorted(rising)
    # What has no figure stands last whichever way.
    assert set(keys[len(rising) :]) <= {""}
    button.click()
    assert header.get_attribute("aria-sort") == "descending"
    keys = sort_keys(page, name)
    assert [float(key) for key in keys[: len(rising)]] == rising[::-1]
    page.get_by_role("button", name="Benchmark").click()
    assert page.locator("[aria-sort]").count() == 1


def test_the_table_is_sorted_by_keyboard(page: Any) -> None:
    button = page.get_by_role("button", name="Median")
    page.get_by_role("button", name="Benchmark").focus()
    page.keyboard.press("Tab")
    assert button.evaluate("each => each === document.activeElement")
    assert button.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    first = sort_keys(page, "Median")
    assert first == sorted(first, key=float)
    page.keyboard.press("Space")
    assert sort_keys(page, "Median") == sorted(first, key=float, reverse=True)


def test_the_first_key_leads_to_the_content(page: Any) -> None:
    page.keyboard.press("Tab")
    link = page.locator(".skip")
    assert link.evaluate("each => each === document.activeElement")
    assert link.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_one_walks_from_the_index_to_a_benchmark_and_back(page: Any) -> None:
    page.get_by_role("link", name="Arrays beside lists").click()
    assert page.inner_text("h1") == "Arrays beside lists"
    page.get_by_role("link", name="numpy_into_4mb").click()
    assert page.inner_text("h1") == "memory that exists, 4 MB"
    page.get_by_role("link", name="legacy_4mb").click()
    assert page.inner_text("h1") == "lists, 4 MB"
    page.get_by_role("link", name="numpy_vs_legacy").click()
    assert page.inner_text("h1") == "Arrays beside lists"
    page.get_by_role("link", name="All benchmarks").click()
    assert page.inner_text("h1") == "quarrow benchmarks"
    page.get_by_role("link", name="beside a copy", exact=True).click()
    assert page.inner_text("h1") == "memory that exists, 4 MB"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_picture_has_a_size_and_can_be_seen(show: Callable[[str], Any], name: str) -> None:
    page = show(name)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for plot in page.locator(".plot svg").all():
        box = plot.bounding_box()
        assert box["width"] > 300
        assert box["height"] > 150
        for text in plot.locator("text").all():
            assert text.evaluate("each => getComputedStyle(each).fill") != ground


def test_a_narrow_window_shows_target_goal_achieved_and_verdict(
    show: Callable[[str], Any], page: Any
) -> None:
    page.set_viewport_size(NARROW)
    show("index.html")
    table = page.locator("table").first
    heads = [head for head in table.locator("th[scope=col]").all() if head.is_visible()]
    assert [head.inner_text() for head in heads] == ["Target", "Goal", "Achieved", "Verdict"]
    for row in table.locator("tr").all():
        for cell in row.locator(":scope > :visible").all():
            box = cell.bounding_box()
            assert 0 <= box["x"] < box["x"] + box["width"] <= NARROW["width"]
    assert table.bounding_box()["y"] < 250
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


def test_hostile_texts_are_shown_as_they_are(show: Callable[[str], Any]) -> None:
    page = show("hostile/index.html")
    assert page.inner_text("h1") == HOSTILE
    assert page.locator("img").count() == 0
    assert any(HOSTILE in text for text in page.locator(".plot text").all_text_contents())


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_a_page_without_scrolling_aside(
    show: Callable[[str], Any], page: Any, name: str
) -> None:
    page.set_viewport_size(PHONE)
    show(name)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for plot in page.locator(".plot svg").all():
        assert plot.bounding_box()["width"] <= PHONE["width"]
    wide = page.locator(".scroll")
    if wide.count():
        assert wide.last.evaluate("each => each.scrollWidth > each.clientWidth")


INK = "getComputedStyle(document.querySelector('.plot text')).fill"


def test_pages_and_pictures_follow_the_scheme_at_once(show: Callable[[str], Any]) -> None:
    page = show(BENCHMARK)
    grounds, inks = set(), set()
    for scheme in ("light", "dark", "light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        inks.add(page.evaluate(INK))
    assert len(grounds) == len(inks) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", SUITE, BENCHMARK])
def test_paper_is_light_and_has_no_controls(show: Callable[[str], Any], name: str) -> None:
    page = show(name)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#controls").is_visible()
    if page.locator(".plot text").count():
        assert page.evaluate(INK) == "rgb(89, 99, 110)"


@pytest.mark.parametrize("name", ["index.html", BENCHMARK])
def test_a_page_prints(show: Callable[[str], Any], page: Any, name: str) -> None:
    printed = show(name).pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 2
    assert len(printed) > 20_000


def test_samples_are_a_link_away_from_their_page(show: Callable[[str], Any], report: Path) -> None:
    page = show(BENCHMARK)
    page.get_by_role("link", name="Samples as JSON").click()
    stored = (report / BENCHMARK).with_suffix(".json").read_text(encoding="utf-8")
    assert json.loads(page.inner_text("pre")) == json.loads(stored)
