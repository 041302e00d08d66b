# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md: all that is stored, each ratio with what it is beside, few bytes."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from stored_runs import FINGERPRINT, Simulated, SimulatedSuite, make_store, write_run

from benchmarks import document, overview, suites
from benchmarks.harness.store import Store
from benchmarks.harness.summary import Summary, summarize
from benchmarks.harness.targets import Headline, Target, read_headlines

DAY = "2026-01-06T08:00:00+00:00"
OURS, COPY = "numpy_vs_legacy/numpy_4mb", "numpy_vs_legacy/copy_4mb"
TARGETS = [
    replace(
        Target("the copy", "value", (COPY,), "ms", at_most=100, peer="numpy | scipy"),
        stated="150 ms",
        stated_target="5 ms",
    ),
    Target("beside a copy", "ratio", (OURS, COPY), "x"),
    Target("never run", "value", ("numpy_vs_legacy/none",), "us", at_most=1),
]
HEADLINES = [
    Headline("4 MB to int8", OURS, (COPY, "numpy_vs_legacy/legacy_4mb", "numpy_vs_legacy/none")),
    Headline("of nobody", "numpy_vs_legacy/none", (COPY,)),
    Headline("all alone", OURS),
]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    store = make_store(tmp_path_factory.mktemp("store"))
    return summarize(store, TARGETS, headlines=HEADLINES)


@pytest.fixture(scope="module")
def text(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("docs") / "performance.md"
    document.write_document(summary, path)
    return path.read_text(encoding="utf-8")


def line_of(text: str, start: str) -> list[str]:
    (line,) = [each for each in text.splitlines() if each.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_benchmark_and_target_is_in_the_document(summary: Summary, text: str) -> None:
    for row in summary.rows:
        assert f"`{row.case['id']}`" in text
    for outcome in summary.outcomes:
        assert f"| {outcome.target.metric} |" in text
    assert "\u2713 met" in text
    assert "there are no samples of numpy_vs_legacy/none" in text
    assert "numpy \\| scipy" in text
    assert "150 ms, target 5 ms" in text
    assert summary.suites[0].record.environment["machine"]["cpu"] in text


def test_it_opens_with_what_a_user_wants_beside_its_best_peer(text: str) -> None:
    first = text[text.index("\n|") :].splitlines()[1]
    assert first == "| job | quarrow | the fastest beside it | times as fast |"
    ours = line_of(text, "4 MB to int8")
    assert re.fullmatch(r"32\d \[32\d, 32\d\] us|3[12]\d \[.*\] us", ours[1])
    assert ours[2].startswith("a copy of 4 MB: 400 [")  # the lists are slower
    assert re.fullmatch(r"1\.2\d \[1\.2\d, 1\.2\d\] x", ours[3])
    assert line_of(text, "of nobody")[1] == "not measured"
    assert line_of(text, "all alone")[2] == "nothing was measured beside it"


def test_every_ratio_says_what_it_is_beside(text: str) -> None:
    row = line_of(text, "`numpy_4mb`")
    assert re.search(r" x `copy_4mb`$", row[5])
    assert re.search(r" x `legacy_4mb`$", row[6])
    assert line_of(text, "`int4_into_4mb`")[7].endswith("x int4, 4 MB, swiftquant (swiftquant)")
    assert line_of(text, "beside a copy")[4].startswith(f"`{COPY}` 400 [")
    assert line_of(text, "the copy")[4] == "the goal alone"
    for line in text.splitlines():
        for cell in line.split(" | "):
            if re.search(r"\d x\b", cell) and "`" in line.split(" | ")[0]:
                assert re.search(r" x (`\w+`|\S+)", cell), line


def test_every_line_of_a_table_has_the_columns_of_its_head(text: str) -> None:
    columns = 0
    for line in text.splitlines():
        count = line.replace("\\|", "").count("|")
        if not line.startswith("|"):
            columns = 0
        elif columns == 0:
            columns = count
        else:
            assert count == columns, line


def test_the_same_figures_make_the_same_document_and_pictures(
    summary: Summary, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        document.write_document(summary, tmp_path / name / "performance.md")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert any(path.suffix == ".svg" for path in files)
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_pictures_of_an_earlier_document_go(summary: Summary, tmp_path: Path) -> None:
    old, other = (tmp_path / "performance" / name for name in ("gone_2.svg", "overview.svg"))
    old.parent.mkdir()
    old.write_text("old", encoding="utf-8")
    other.write_text("of README", encoding="utf-8")
    document.write_document(summary, tmp_path / "performance.md")
    assert not old.exists()
    assert other.exists()


def test_the_pictures_of_all_suites_are_small_together(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", FINGERPRINT)
    for name in suites.NAMES:
        suite = suites.load_suite(name)
        found = [
            Simulated(case, 1e-6 * (case.size or 1) * (1 + place / 50), count=10)
            for place, case in enumerate(suite.cases)
        ]
        write_run(store, SimulatedSuite(name, suite.title, found), DAY)
    document.write_document(summarize(store, []), tmp_path / "performance.md")
    pictures = list((tmp_path / "performance").glob("*.svg"))
    assert len(pictures) >= 5
    assert all("<text" in each.read_text(encoding="utf-8") for each in pictures)
    assert sum(each.stat().st_size for each in pictures) < 90_000  # README's picture comes to it


def test_one_suite_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(document, "DOCUMENT", tmp_path / "docs" / "performance.md")
    monkeypatch.setattr(document, "fingerprint", lambda: FINGERPRINT)
    written: list[str] = []
    monkeypatch.setattr(document, "write_overview", lambda: written.append("overview"))
    assert document.main([str(tmp_path / "store")]) == 3
    assert "nothing is stored" in capsys.readouterr().err
    store = make_store(tmp_path / "store")
    for path in (store.folder / "peers").rglob("*.json"):
        path.unlink()
    assert document.main([str(tmp_path / "store")]) == 0
    text = document.DOCUMENT.read_text(encoding="utf-8")
    assert "(`numpy_vs_legacy`)" in text
    assert "(`peers`)" not in text
    assert all(f"| {headline.words} |" in text for headline in read_headlines())
    assert overview.picture(text).startswith("<svg")
    assert written == ["overview"]
