# SPDX-License-Identifier: Apache-2.0
"""README's picture and figures are those of docs/performance.md."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import overview
from benchmarks.harness.words import time_text, typeset

TEXT = overview.DOCUMENT.read_text(encoding="utf-8")


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter() if each.text]


def test_readme_has_the_figures_of_the_document() -> None:
    readme = overview.README.read_text(encoding="utf-8")
    assert overview.with_figures(readme, overview.figures(TEXT)) == readme
    assert f"]({overview.PICTURE.relative_to(overview.ROOT)})" in readme


def test_the_picture_is_that_of_the_document() -> None:
    assert overview.PICTURE.read_text(encoding="utf-8") == overview.picture(TEXT)


def test_the_pictures_of_the_documents_are_small_together() -> None:
    pictures = overview.PICTURE.parent.glob("*.svg")
    assert sum(each.stat().st_size for each in pictures) < 100_000


def test_the_table_is_the_begin_of_the_first(tmp_path: Path) -> None:
    lines = overview.figures(TEXT).splitlines()
    assert len(lines) == 5
    assert all(line in TEXT.splitlines() for line in lines)
    assert TEXT.index("\n| ") + 1 == TEXT.index(lines[0])
    document = "# P\n\n| a | b |\n|---|---|\n" + "".join(f"| {i} | x |\n" for i in range(9))
    rows = overview.figures(document).splitlines()
    assert rows == ["| a | b |", "|---|---|", *(f"| {i} | x |" for i in range(3))]


def test_medians_are_read_as_the_document_has_them() -> None:
    document = (
        "\n## Others (`others`)\n\n| `copy_40mb` | of others | 9.00 s | 1 |\n"
        "\n## Peers (`peers`)\n\n| benchmark | what | median |\n|---|---|---|\n"
        "| `copy_40mb` | a \\| b, 1 ms | 1.80 [1.74, 1.86] ms | 1.81 ms |\n"
        "| `int4_fresh_40mb` | ours | 1,872 us | 1 ms |\n"
        "\n## Later (`later`)\n\n| `int8_fresh_40mb` | what | 1.00 s | 1 |\n"
    )
    assert overview.medians(document, "peers") == pytest.approx(
        {"copy_40mb": 1.8e-3, "int4_fresh_40mb": 1.872e-3}
    )
    assert overview.medians(document, "none") == {}


def test_every_time_of_the_picture_is_one_of_the_document() -> None:
    seconds = overview.medians(TEXT, "peers")
    said = texts(overview.picture(TEXT))
    times = [text for text in said if re.fullmatch(r"[\d.,]+ (\u00b5s|ms|s)", text)]
    known = {typeset(time_text(each)) for each in seconds.values()}
    assert len(times) >= 3
    assert set(times) <= known
    assert said.count("quarrow") == said.count("np.copyto") == 3


def test_a_document_without_peers_has_a_picture() -> None:
    assert overview.picture("# Performance\n").startswith("<svg")


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="README has no"):
        overview.with_figures("nothing", "| a |")


def test_all_of_it_is_written(tmp_path: Path) -> None:
    readme, picture = tmp_path / "README.md", tmp_path / "overview.svg"
    readme.write_text(f"a\n{overview._START}old\n{overview._END}b\n", encoding="utf-8")
    overview.write_overview(overview.DOCUMENT, picture, readme)
    assert picture.read_text(encoding="utf-8") == overview.picture(TEXT)
    written = readme.read_text(encoding="utf-8")
    assert written.startswith("a\n")
    assert overview.figures(TEXT) in written
    assert written.endswith("b\n")
    assert "old" not in written
