# SPDX-License-Identifier: Apache-2.0
"""The report page in a real browser: it sorts, filters and saves, and asks nobody for anything."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import quarrow as qr
from quarrow.cli.report_page import render
from safetensors.numpy import save_file

pytestmark = pytest.mark.slow

HOSTILE = "=<img src=x onerror=document.title='owned'>\"\u202e</script>.weight"
SHOWN = "=<img src=x onerror=document.title='owned'>\"\\u202e</script>.weight"
PHONE = {"width": 375, "height": 700}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of a file with 300 tensors, of which 40 are quantized with growing errors."""
    folder = tmp_path_factory.mktemp("report")
    random = np.random.default_rng(0)
    tensors: dict[str, npt.NDArray[np.generic]] = {
        f"norm.{index:03}": np.ones(4, np.float64) for index in range(259)
    }
    for index in range(40):
        weight = random.uniform(-1, 1, (16, 64)).astype(np.float32)
        weight[:, 0] = 1 + index  # the wider the range, the coarser the codes
        tensors[f"layer.{index:02}.weight"] = weight
    tensors[HOSTILE] = np.ones((32, 64), np.float32)
    save_file(tensors, folder / "model.safetensors")
    done = qr.quantize_file(
        folder / "model.safetensors", folder / "out", "int8_rowwise", measure_error=True
    )
    page = folder / "page.html"
    made = datetime(2026, 11, 27, tzinfo=UTC)
    command = f"quarrow quantize model.safetensors out --include '{HOSTILE}'"
    page.write_text(render(done, command=command, made=made), encoding="utf-8")
    return page


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Any]:
    """Open the page; fail if it complained, or asked for anything but itself."""
    context = browser.new_context(color_scheme=request.param, accept_downloads=True)
    opened = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: requests.append(asked.url))
    opened.goto(report.as_uri())
    yield opened
    assert complaints == []
    assert [url for url in requests if not url.startswith(("blob:", "data:"))] == [report.as_uri()]
    assert "owned" not in opened.title()
    context.close()


def column(page: Any, number: int) -> list[str]:
    cells: list[str] = page.locator(f"#layers tbody td:nth-child({number + 1})").all_inner_texts()
    return cells


def test_the_worst_layers_stand_first(page: Any) -> None:
    rows = json.loads(page.inner_text("#data"))["rows"]
    worst = min((row for row in rows if len(row) > 6), key=lambda row: float(row[6]))
    assert column(page, 0)[0] == worst[0]
    values = [float(text) for text in column(page, 6)[:40]]
    assert values == sorted(values)
    # Then the layer without any error, then those without a figure.
    assert column(page, 6)[40] == "\u221e"
    assert set(column(page, 6)[41:]) == {""}
    assert "300 tensors, the first 250 shown" in page.inner_text("#count")


@pytest.mark.parametrize("name", ["Before", "Max error"])
def test_a_click_sorts_and_another_turns_it_round(page: Any, name: str) -> None:
    header = page.locator("#layers th").filter(has_text=name)
    page.click("#more")
    assert len(column(page, 0)) == 300
    button = page.get_by_role("button", name=name)
    button.click()
    assert header.get_attribute("aria-sort") == "descending"
    first = column(page, 0)
    button.click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(page, 0) != first
    assert sorted(column(page, 0)) == sorted(first)
    assert page.locator("[aria-sort]").count() == 1


def test_what_has_no_error_stands_last_whichever_way(page: Any) -> None:
    # In the order of the file they stand first: the filter goes through it anew.
    page.fill("#filter", "0")
    for _ in range(2):
        page.get_by_role("button", name="Max error").click()
        cells = column(page, 7)
        assert "" in cells
        assert set(cells[cells.index("") :]) == {""}


def test_names_are_sorted_by_keyboard(page: Any) -> None:
    page.get_by_role("button", name="Tensor", exact=True).focus()
    page.keyboard.press("Enter")
    names = column(page, 0)
    assert names == sorted(names)
    assert names[0] == SHOWN


def test_the_filter_finds_names_types_and_reasons(page: Any) -> None:
    page.fill("#filter", "LAYER.0")
    assert sorted(column(page, 0)) == [f"layer.{index:02}.weight" for index in range(10)]
    assert page.inner_text("#count") == "10 of 300 tensors"
    page.fill("#filter", "fewer than two")
    assert page.inner_text("#count").startswith("259 of 300")
    page.fill("#filter", "f32")
    assert page.inner_text("#count") == "41 of 300 tensors"
    page.fill("#filter", "no such thing")
    assert column(page, 0) == []
    page.fill("#filter", "")
    assert len(column(page, 0)) == 250


def test_a_group_is_a_filter(page: Any) -> None:
    page.get_by_role("button", name="int8_rowwise").click()
    assert page.inner_text("#count") == "41 of 300 tensors"
    page.fill("#filter", "layer.1")
    assert page.inner_text("#count") == "10 of 300 tensors"
    page.get_by_role("button", name="left alone").first.click()
    assert page.inner_text("#count").startswith("259 of 300")
    page.select_option("#group", label="everything")
    assert page.inner_text("#count").startswith("300 tensors")


def test_the_plot_names_its_layers(page: Any) -> None:
    page.focus("#plot")
    for key, name in (("Home", "layer.00"), ("ArrowRight", "layer.01"), ("End", "layer.39")):
        page.keyboard.press(key)
        assert name in page.inner_text("#point")
    page.keyboard.press("Enter")
    assert column(page, 0) == ["layer.39.weight"]
    box = page.locator("#plot").bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    assert "layer.00" in page.inner_text("#point")


def test_a_hostile_name_is_text_and_no_formula(page: Any) -> None:
    page.fill("#filter", "onerror")
    assert column(page, 0) == [SHOWN]
    assert page.locator("img").count() == 0
    with page.expect_download() as download:
        page.click("#csv")
    content = Path(download.value.path()).read_text(encoding="utf-8")
    head, row = csv.reader(io.StringIO(content))
    assert head[0] == "Tensor"
    assert row[0] == f"'{SHOWN}"
    assert len(row) == len(head)


def test_a_phone_shows_everything_without_scrolling_aside(page: Any) -> None:
    page.set_viewport_size(PHONE)
    page.fill("#filter", "layer.39")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    text = page.inner_text("#layers tbody tr")
    assert "layer.39.weight" in text
    page.fill("#filter", "")
    page.select_option("#sorter", label="Tensor")
    assert column(page, 0)[0] == SHOWN


@pytest.mark.parametrize("width", [640, 720, 1024, 1056, 1057, 1280])
def test_no_window_scrolls_aside(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_paper_has_every_row_and_no_controls(page: Any) -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(column(page, 0)) == 300
    assert not page.locator(".controls").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(column(page, 0)) == 250


def test_the_colours_follow_the_reader(browser: Any, report: Path) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        opened = context.new_page()
        opened.goto(report.as_uri())
        colours.add(opened.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    assert len(colours) == 2
