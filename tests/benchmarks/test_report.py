# SPDX-License-Identifier: Apache-2.0
"""The pages of the benchmarks: whole, linked, escaped, the same twice, and asking for nothing."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from html_page import Page
from stored_runs import (
    ENVIRONMENT,
    FINGERPRINT,
    HOSTILE,
    hostile_suite,
    make_store,
    peers_suite,
    sizes_suite,
    write_run,
)

from benchmarks.harness.report import environments, file_name, write_report
from benchmarks.harness.store import Store
from benchmarks.harness.summary import Summary, as_csv, as_json, summarize
from benchmarks.harness.targets import Target
from benchmarks.harness.words import typeset

DAY = "2026-01-05T08:00:00+00:00"
NUMPY, COPY = "numpy_vs_legacy/numpy_into_4mb", "numpy_vs_legacy/copy_4mb"
TARGETS = [
    Target("half a copy more", "ratio", (NUMPY, COPY), "x", at_most=1.5, stated="150 ms"),
    Target("a tenth of a copy", "ratio", (NUMPY, COPY), "x", at_most=0.1, baseline=COPY),
    Target("never run", "value", ("numpy_vs_legacy/none",), "us", at_most=1, peer="<b>nobody"),
]


def summary_of(store: Any, targets: list[Target] | None = None) -> Summary:
    return summarize(store, TARGETS if targets is None else targets)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store with a slower last run, hostile texts, and a damaged file."""
    folder = tmp_path_factory.mktemp("store")
    made = make_store(folder, factor=1.12)
    for day in ("2026-01-04T08:00:00+00:00", DAY):
        write_run(made, hostile_suite(), day)
    path = made.folder / "peers/int4_slow/previous.json"
    path.write_text("{", encoding="utf-8")
    return Store(folder, FINGERPRINT)


@pytest.fixture(scope="module")
def summary(store: Any) -> Summary:
    return summary_of(store)


@pytest.fixture(scope="module")
def report(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report, and return its folder."""
    folder = tmp_path_factory.mktemp("report")
    assert write_report(summary, folder) == folder / "index.html"
    return folder


@pytest.fixture(scope="module")
def pages(report: Path) -> dict[str, Page]:
    return {str(path.relative_to(report)): Page(path) for path in sorted(report.rglob("*.html"))}


def test_every_benchmark_and_every_suite_has_a_page(
    summary: Summary, pages: dict[str, Page]
) -> None:
    expected = {"index.html"}
    for suite in summary.suites:
        expected.add(f"{suite.record.name}/index.html")
        expected |= {f"{suite.record.name}/{row.case['id']}.html" for row in suite.rows}
    assert set(pages) == expected
    assert len(expected) == 1 + 3 + 12 + 4 + 3


def test_every_link_leads_to_a_file_of_the_report(report: Path, pages: dict[str, Page]) -> None:
    ids = {page.path.resolve(): set(page.all("id")) for page in pages.values()}
    followed = 0
    for page in pages.values():
        for link in [*page.all("href"), *page.all("src")]:
            if link == "data:,":
                continue
            path, fragment = urldefrag(link)
            target = (page.path.parent / unquote(path)).resolve() if path else page.path.resolve()
            assert target.is_file(), (page.path, link)
            assert target.is_relative_to(report.resolve())
            assert not fragment or fragment in ids[target], (page.path, link)
            followed += 1
    assert followed > 200


def test_every_page_is_reached_from_the_index(report: Path, pages: dict[str, Page]) -> None:
    reached: set[str] = set()
    left = ["index.html"]
    while left:
        name = left.pop()
        if name in reached:
            continue
        reached.add(name)
        for link in pages[name].all("href"):
            target = (pages[name].path.parent / urldefrag(link)[0]).resolve()
            if target.suffix == ".html":
                left.append(str(target.relative_to(report.resolve())))
    assert reached == set(pages)


def test_nothing_is_asked_of_a_network(report: Path, pages: dict[str, Page]) -> None:
    for page in pages.values():
        values = [value or "" for _, given in page.tags for value in given.values()]
        assert not [value for value in values if re.search(r"(?i)(https?:)?//", value)], page.path
        policy = "".join(page.all("content"))
        assert "default-src 'none'" in policy
        assert "http" not in policy
    style = (report / "report.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in (report / "report.js").read_text(encoding="utf-8")


def test_no_script_stands_in_a_page(pages: dict[str, Page]) -> None:
    for page in pages.values():
        scripts = [given for tag, given in page.tags if tag == "script"]
        assert scripts
        assert all("src" in each for each in scripts)
        assert not [name for _, given in page.tags for name in given if name.startswith("on")]


def test_hostile_texts_stay_texts(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert not {"img", "b", "iframe"} & {tag for tag, _ in page.tags}, page.path
        assert "<img" not in page.source
    for name in ("index.html", "hostile/index.html", "hostile/markup_4.html"):
        assert HOSTILE in pages[name].text


def test_ids_that_are_paths_lead_nowhere_else(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    path = store.folder / "peers/int4_slow/new.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    value["case"]["id"] = "../../../escaped"
    path.write_text(json.dumps(value), encoding="utf-8")
    summary = summary_of(store)
    write_report(summary, tmp_path / "a/b/report")
    assert list(tmp_path.rglob("*escaped*")) == []
    assert any("int4_slow" in each for each in summary.skipped)


def test_two_reports_of_one_store_are_the_same(store: Any, report: Path, tmp_path: Path) -> None:
    again = Store(store.folder.parent, FINGERPRINT)
    write_report(summary_of(again), tmp_path)
    files = sorted(path.relative_to(report) for path in report.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for path in files:
        assert (report / path).read_bytes() == (tmp_path / path).read_bytes(), path


def test_the_targets_stand_first_with_goal_achieved_and_verdict(pages: dict[str, Page]) -> None:
    page = pages["index.html"]
    assert page.tables[0][0][:4] == ["Target", "Goal", "Achieved", "Verdict"]
    assert page.tables[1][0][0].startswith("Benchmark")
    assert page.source.index("<table") == page.source.index('<table class="targets">')
    met = page.row("half a copy more")
    assert "\u2713 met" in met
    assert "150 ms" in met
    missed = page.row("a tenth of a copy")
    assert "\u2717 missed" in missed
    assert typeset("<= 0.1 x") in missed
    assert re.search(r"400 \u00b5s \[\d+, \d+\] numpy_vs_legacy/copy_4mb", missed)
    not_measured = page.row("never run")
    assert "- not measured" in not_measured
    assert "there are no samples of numpy_vs_legacy/none" in not_measured
    assert "<b>nobody" in not_measured
    assert "\u2713 met 1, \u2717 missed 1, - not measured 1" in page.text.replace(" ,", ",")


def test_a_row_says_everything_of_its_benchmark(pages: dict[str, Page], summary: Summary) -> None:
    page = pages["index.html"]
    assert len(page.tables[1]) == 1 + sum(1 for _ in summary.rows)
    row = page.row("numpy_into_4mb", 1)
    for pattern in (
        r"269 \u00b5s \[\d+, \d+\]",  # median
        r"\d+ \u00b5s 14\.8 GB/s",  # CPU, throughput
        rf"0\.67\d {typeset(' x').strip()} \[0\.\d+, 0\.\d+\] copy_4mb",
        rf"250 {typeset(' x').strip()} \[\d+, \d+\] legacy_4mb",
        r"\+7\.\d % \[\+\d\.\d, \+\d\.\d\] no verdict: use --ab",
    ):
        assert re.search(pattern, row), pattern
    peer = page.row("int4_into_4mb", 1)
    assert re.search(r"1\.37 . \[.*\] int4, 4 MB, swiftquant \(swiftquant\)", peer)
    assert "10 of 100 (time cap)" in page.row("legacy_400mb", 1)
    assert "no previous" in page.row("int4_slow", 1)
    assert re.search(r"Against previous: \d+ with no verdict: use --ab", page.text)


def test_verdicts_of_two_builds_are_shown(summary: Summary, tmp_path: Path) -> None:
    first = summary.suites[0]
    changed = [
        replace(row, change=replace(row.change, verdict="regressed", reason=""))
        for row in first.rows
        if row.change
    ]
    judged = replace(summary, suites=[replace(first, rows=changed)], power="12 rounds see 10 %")
    write_report(judged, tmp_path)
    page = Page(tmp_path / "index.html")
    assert "\u25bc regressed +7" in page.row("numpy_4mb", 1)
    assert "12 rounds see 10 %" in page.text
    assert f"Against previous: {len(changed)} regressed" in page.text


def test_the_index_says_what_to_doubt(pages: dict[str, Page]) -> None:
    text = pages["index.html"].text
    assert "! Something else was running: the load was 3.4" in text
    assert "mlx : not installed" in text
    assert "int4_slow/previous.json: damaged, not the samples" in text
    assert f"100 samples. Ran {DAY} for 13 min" in text
    assert "Simulated Processor 9000" in text


def test_what_an_earlier_run_left_is_said_to_be_so(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    suite = peers_suite()
    part = replace(suite, benchmarks=suite.benchmarks[:2])
    write_run(store, part, "2026-01-06T08:00:00+00:00")
    write_report(summary_of(store), tmp_path / "report")
    page = Page(tmp_path / "report/peers/index.html")
    assert "of an earlier run" in page.row("int4_swift")
    assert "of an earlier run" not in page.row("int4_into_4mb")
    assert "of an earlier run" in Page(tmp_path / "report/peers/int4_swift.html").text


def test_a_single_sample_is_shown_bare(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", FINGERPRINT)
    suite = sizes_suite()
    (only,) = [each for each in suite.benchmarks if each.case.id == "numpy_4mb"]
    write_run(store, replace(suite, benchmarks=[replace(only, count=1, outside=0.0)]), DAY)
    write_report(summary_of(store, []), tmp_path / "report")
    index = Page(tmp_path / "report/index.html")
    assert "No targets were judged." in index.text
    row = index.row("numpy_4mb", 0)
    assert "[" not in row
    assert "nan" not in index.source.lower().replace("nanoarrow", "")
    assert "no previous 1 of 100 (time cap)" in row
    page = Page(tmp_path / "report/numpy_vs_legacy/numpy_4mb.html")
    assert page.source.count("<svg") == 1
    assert "nan" not in page.source.lower()
    assert "<svg" not in Page(tmp_path / "report/numpy_vs_legacy/index.html").source


def test_an_empty_store_has_an_index(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", FINGERPRINT)
    page = Page(write_report(summary_of(store), tmp_path / "report"))
    assert "Nothing is stored of this machine." in page.text
    assert "- not measured 3" in page.text


def test_pages_have_their_pictures(pages: dict[str, Page]) -> None:
    assert pages["numpy_vs_legacy/index.html"].source.count("<svg") == 1
    assert "int8 per row" in pages["numpy_vs_legacy/index.html"].text
    for name, page in pages.items():
        if not name.endswith("index.html"):
            assert page.source.count("<svg") == 1, name
            assert "in the order taken" in page.text


def test_stages_add_up_to_the_call(summary: Summary, pages: dict[str, Page]) -> None:
    text = pages["numpy_vs_legacy/numpy_into_4mb.html"].text
    words = ("take the input", "allocate", "core", "hand out", "between")
    shares = [re.search(rf"{word} [\d.]+ .s, ([\d.]+)%", text) for word in words]
    assert sum(float(each[1]) for each in shares if each) == pytest.approx(100, abs=0.3)
    assert all(shares)
    assert re.search(r"outside the core 0\.74\d? ", text)


def test_memory_and_counters_are_told(pages: dict[str, Page]) -> None:
    text = pages["numpy_vs_legacy/numpy_4mb.html"].text
    for said in ("peak of the process grew by 1.20 MB", "its result has 1.00 MB", "input copied"):
        assert said in text
    assert re.search(r"page faults of a call [\d.]+ \(median\)", text)
    assert "nothing was counted" not in text


def test_the_samples_and_figures_are_beside_the_pages(
    store: Any, summary: Summary, report: Path, pages: dict[str, Page]
) -> None:
    stored = json.loads((store.folder / "peers/int4_swift/new.json").read_text(encoding="utf-8"))
    beside = json.loads((report / "peers/int4_swift.json").read_text(encoding="utf-8"))
    assert beside == stored
    assert "int4_swift.json" in pages["peers/int4_swift.html"].all("href")
    assert (report / "summary.json").read_text(encoding="utf-8") == as_json(summary)
    assert (report / "summary.csv").read_text(encoding="utf-8") == as_csv(summary)
    assert {"summary.json", "summary.csv"} <= set(pages["index.html"].all("href"))


def test_tables_are_for_keyboards_and_screen_readers(pages: dict[str, Page]) -> None:
    for page in pages.values():
        tags = [tag for tag, _ in page.tags]
        assert tags.count("h1") == 1
        assert tags.count("main") == 1
        assert page.all("lang") == ["en"]
        assert page.all("href").count("#main") == 1
        labelled = [given for tag, given in page.tags if given.get("class") == "plot"]
        assert all(each["role"] == "img" and each["aria-label"] for each in labelled)
        scrolling = [given for _, given in page.tags if given.get("class") == "scroll"]
        assert all(each["tabindex"] == "0" and each["aria-label"] for each in scrolling)
    buttons = [given for tag, given in pages["index.html"].tags if tag == "button"]
    assert len(buttons) == 9


def test_environments_that_differ_name_their_suites(summary: Summary) -> None:
    first, second = (each.record for each in summary.suites[:2])
    other = replace(second, environment={**ENVIRONMENT, "kernel": "6.9.0"})
    lines = dict(environments([first, other]))
    assert lines["kernel"] == f"6.1.0 ({first.name}); 6.9.0 ({second.name})"
    assert lines["python"] == "3.11.7"


def test_file_names_are_names_of_files_and_no_two_are_one() -> None:
    ids = ["a", "a/b", "a b", "..", "../a", ".a", "index", "", "\u00e4", "\u00f6", "int4-f16-40mb"]
    names = [file_name(each) for each in ids]
    assert len(set(names)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", each) for each in names)
    assert "index" not in names
    assert (names[0], names[-1]) == (ids[0], ids[-1])
