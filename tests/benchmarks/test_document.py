# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md: all that is stored, each ratio with what it is beside, few bytes."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from stored_runs import FINGERPRINT, Simulated, SimulatedSuite, make_store, write_run

from benchmarks import document, overview, suites
from benchmarks.harness.settings import Settings
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


def test_a_target_of_cpu_time_and_the_settings_of_a_run_are_said(tmp_path: Path) -> None:
    cpu = Target("a copy", "value", (COPY,), "ms", clock="cpu")
    summary = summarize(make_store(tmp_path / "store"), [cpu])
    document.write_document(summary, tmp_path / "performance.md")
    text = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert line_of(text, "a copy, CPU time")
    assert "100 samples asked for, warm-up 3 s, measurement 5 s, time cap 100 s." in text


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


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the document be written to a folder; return what notes that README's picture is."""
    monkeypatch.setattr(document, "DOCUMENT", tmp_path / "docs" / "performance.md")
    monkeypatch.setattr(document, "fingerprint", lambda: FINGERPRINT)
    noted: list[str] = []
    monkeypatch.setattr(document, "write_overview", lambda: noted.append("overview"))
    return noted


def altered(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_an_earlier_run_left_is_not_in_it(tmp_path: Path, written: list[str]) -> None:
    store = make_store(tmp_path / "store")
    altered(store.folder / "numpy_vs_legacy/numpy_4mb/new.json", run="an earlier one")
    assert document.main([str(tmp_path / "store")]) == 0
    text = (tmp_path / "docs/performance.md").read_text(encoding="utf-8")
    assert "| `numpy_into_4mb` |" in text
    assert "| `numpy_4mb` |" not in text
    assert line_of(text, "a matrix of 4 MB instead of its lists, int8")[1] == "not measured"


def test_a_quick_run_makes_no_document(
    tmp_path: Path, written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path / "store")
    altered(store.folder / "peers/suite-new.json", settings=asdict(Settings().quick()))
    assert document.main([str(tmp_path / "store")]) == 3
    assert "--quick proves nothing, and was the last run of peers" in capsys.readouterr().err
    assert not (tmp_path / "docs/performance.md").exists()
    assert written == []


def test_one_suite_is_enough(
    tmp_path: Path, written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert document.main([str(tmp_path / "store")]) == 3
    assert "nothing is stored" in capsys.readouterr().err
    store = make_store(tmp_path / "store")
    for path in (store.folder / "peers").rglob("*.json"):
        path.unlink()
    assert document.main([str(tmp_path / "store")]) == 0
    text = (tmp_path / "docs/performance.md").read_text(encoding="utf-8")
    assert "(`numpy_vs_legacy`)" in text
    assert "(`peers`)" not in text
    assert all(f"| {headline.words} |" in text for headline in read_headlines())
    assert overview.picture(text).startswith("<svg")
    assert written == ["overview"]
