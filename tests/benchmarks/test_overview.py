# SPDX-License-Identifier: Apache-2.0
"""README's picture and figures are those of docs/performance.md."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import overview

LINES = overview.read_lines(overview.DOCUMENT.read_text(encoding="utf-8"))
NAMESPACE = "{http://www.w3.org/2000/svg}"


def test_readme_has_the_figures_of_the_document() -> None:
    readme = overview.README.read_text(encoding="utf-8")
    assert overview.with_figures(readme, overview.figures(LINES)) == readme
    assert f"]({overview.PICTURE.relative_to(overview.ROOT)})" in readme


def test_the_picture_is_that_of_the_document() -> None:
    assert overview.PICTURE.read_text(encoding="utf-8") == overview.picture(LINES)


def test_every_figure_is_one_of_a_peer_that_did_the_job() -> None:
    rows = overview.figures(LINES).splitlines()[2:]
    assert len(rows) == 3
    text = overview.DOCUMENT.read_text(encoding="utf-8")
    for row in rows:
        _, _, ours, peer, copy, _ = (cell.strip() for cell in row.split("|"))
        who, time, times = re.fullmatch(r"(.+): (.+), (.+) times as long", peer).groups()  # type: ignore[union-attr]
        assert f" {times}, " in text
        for figure in (ours, time, copy):
            number, unit = figure.split()
            assert re.search(rf"\| {re.escape(number)} \[[^]]*\] {unit} \|", text)
        assert who in text


def test_bars_are_as_long_as_their_times() -> None:
    root = ElementTree.fromstring(overview.picture(LINES))
    bars = [each for each in root if each.tag == f"{NAMESPACE}rect"]
    texts = [each.text or "" for each in root if each.tag == f"{NAMESPACE}text"]
    times = [text for text in texts if re.fullmatch(r"[\d.,]+ (us|ms|s)", text)]
    assert len(bars) == len(times) > 15
    longest = max(zip(bars, times, strict=True), key=lambda pair: float(pair[0].get("width", 0)))
    scale = float(longest[0].get("width", 0)) / milliseconds(longest[1])
    for bar, time in zip(bars, times, strict=True):
        assert float(bar.get("width", 0)) == pytest.approx(
            max(milliseconds(time) * scale, 1), abs=0.1
        )
    assert [bar.get("class") for bar in bars].count("ours") == 3


def milliseconds(text: str) -> float:
    return overview.Line("", text, "").milliseconds


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="README has no"):
        overview.with_figures("nothing", "| a |")


def test_all_of_it_is_written(tmp_path: Path) -> None:
    readme, picture = tmp_path / "README.md", tmp_path / "overview.svg"
    readme.write_text(f"a\n{overview._START}old\n{overview._END}b\n", encoding="utf-8")
    overview.write_overview(overview.DOCUMENT, picture, readme)
    assert picture.read_text(encoding="utf-8") == overview.picture(LINES)
    written = readme.read_text(encoding="utf-8")
    assert written.startswith("a\n")
    assert overview.figures(LINES) in written
    assert written.endswith("b\n")
    assert "old" not in written
