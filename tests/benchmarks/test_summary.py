# SPDX-License-Identifier: Apache-2.0

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from stored_runs import (
    ENVIRONMENT,
    QUIET,
    RESTLESS,
    Simulated,
    SimulatedSuite,
    case,
    make_store,
    peers_suite,
    write_run,
)

from benchmarks.harness import environment
from benchmarks.harness.changes import NO_VERDICT
from benchmarks.harness.console import print_rows, print_summary, print_targets
from benchmarks.harness.store import AB, Store
from benchmarks.harness.summary import Summary, as_csv, as_json, summarize
from benchmarks.harness.targets import Headline, Target

TARGET = Target("the copy", "value", ("numpy_vs_legacy/copy_4mb",), "ms", at_most=100)


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return summarize(make_store(tmp_path), [TARGET])


def test_a_ratio_is_that_of_the_medians(summary: Summary) -> None:
    rows = {row.id: row for row in summary.rows}
    compared = [row for row in rows.values() if row.to_copy and row.case["copy"]]
    assert compared
    for row in compared:
        copy = rows[f"{row.record.suite}/{row.case['copy']}"]
        bytes_ratio = copy.case["bytes"] / row.case["bytes"] if copy.case["bytes"] else 1.0
        expected = row.estimate.median.value / copy.estimate.median.value * bytes_ratio
        assert row.to_copy is not None
        assert row.to_copy.value == pytest.approx(expected)
        assert row.to_copy.low <= row.to_copy.value <= row.to_copy.high


def test_a_ratio_is_of_the_same_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path, "machine")
    suite = SimulatedSuite(
        "numpy_vs_legacy",
        "Sizes",
        [
            Simulated(case("copy", "a copy", "copy", bytes=4000), 4e-6, spread=0),
            Simulated(case("half", "a half", bytes=2000, copy="copy"), 4e-6, spread=0),
        ],
    )
    write_run(store, suite, "2026-01-05T08:00:00+00:00")
    rows = {row.case["id"]: row for row in summarize(store, []).rows}
    assert rows["half"].to_copy is not None
    assert rows["half"].to_copy.value == pytest.approx(2.0)


def test_ratios_are_of_one_run(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    path = store.folder / "numpy_vs_legacy/copy_4mb/new.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run": "another"}))
    rows = {row.case["id"]: row for row in summarize(store, []).rows}
    assert rows["numpy_into_4mb"].to_copy is None
    assert rows["numpy_into_40mb"].to_copy is not None


def test_the_best_peer_does_the_same_job(summary: Summary) -> None:
    beside = [row for row in summary.rows if row.best_peer]
    assert beside
    for row in beside:
        peers = [
            each
            for each in summary.rows
            if each.case["role"] == "peer" and each.case["job"] == row.case["job"]
        ]
        best = min(peers, key=lambda each: each.estimate.median.value)
        assert best.case["title"] in row.best_peer
        assert row.to_peer is not None
        fastest = best.estimate.median.value
        assert row.to_peer.value == pytest.approx(fastest / row.estimate.median.value)


def test_the_share_outside_of_the_core_is_of_the_whole(summary: Summary) -> None:
    stamped = [row for row in summary.rows if row.share]
    assert stamped
    for row in stamped:
        cores, wholes = (row.record.by_process(f"stage_{which}") for which in ("core", "whole"))
        shares = [np.median(1 - core / whole) for core, whole in zip(cores, wholes, strict=True)]
        assert row.share is not None
        assert row.share.value == pytest.approx(np.median(shares))


def test_throughput_is_of_the_median_and_not_of_the_mean(tmp_path: Path) -> None:
    store = Store(tmp_path, "machine")
    cases = [Simulated(case("a", "half a million bytes", bytes=500_000), 1e-3, spread=0.3)]
    write_run(store, SimulatedSuite("suite", "Rates", cases), "2026-01-05T08:00:00+00:00")
    (row,) = summarize(store, []).rows
    walls = np.concatenate(row.record.by_process())
    assert row.throughput is not None
    assert row.throughput.value == pytest.approx(5e5 / np.median(walls))
    assert row.throughput.low == pytest.approx(5e5 / row.estimate.median.high)
    assert abs(np.median(walls) / np.mean(walls) - 1) > 0.01


def test_lists_are_compared_byte_for_byte(tmp_path: Path) -> None:
    store = Store(tmp_path, "machine")
    cases = [
        Simulated(case("ours", "ours", bytes=4000, legacy="lists"), 1e-6, spread=0),
        Simulated(case("lists", "a half", "legacy", bytes=2000), 5e-5, spread=0),
    ]
    write_run(store, SimulatedSuite("suite", "Lists", cases), "2026-01-05T08:00:00+00:00")
    row, _ = summarize(store, []).rows
    assert row.to_legacy is not None
    assert row.to_legacy.value == pytest.approx(100.0, rel=0.1)


def test_headlines_stand_beside_the_best_that_was_measured(tmp_path: Path) -> None:
    beside = ("peers/int4_slow", "peers/int4_swift", "peers/absent")
    lines = [
        Headline("ours beside others", "peers/int4_into_4mb", beside),
        Headline("nobody", "peers/int4_into_4mb", ("peers/absent",)),
        Headline("not measured", "peers/absent", beside),
    ]
    ours, alone, absent = summarize(make_store(tmp_path), [], headlines=lines).headlines
    assert ours.row is not None
    assert ours.rival is not None
    assert ours.ratio is not None
    assert ours.rival.id == "peers/int4_swift"
    medians = [each.estimate.median.value for each in (ours.rival, ours.row)]
    assert ours.ratio.value == pytest.approx(medians[0] / medians[1])
    assert (alone.rival, alone.ratio) == (None, None)
    assert absent.row is None


def test_rounds_of_two_builds_are_judged_and_earlier_runs_are_not(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    earlier = summarize(store, [])
    assert {row.change.reason for row in earlier.rows if row.change} == {NO_VERDICT}
    assert earlier.power == ""
    suite = peers_suite()
    write_run(store, suite, "2026-02-01T08:00:00+00:00", factor=2.0, processes=10)
    for each in suite.benchmarks:
        record = store.read("peers", each.case.id)
        assert record is not None
        # A copy that took twice as long itself would explain it.
        factor = 1.0 if each.case.role == "copy" else 0.5
        walls = [replace(sample, wall=factor * sample.wall) for sample in record.samples]
        store.write(replace(record, samples=walls), AB)
    found = summarize(store, [], baseline=AB)
    verdicts = {row.id: row.change.verdict for row in found.rows if row.change}
    assert verdicts["peers/int4_into_4mb"] == "regressed"
    assert verdicts["peers/int4_swift"] == ""
    assert set(verdicts) == {f"peers/{each.case.id}" for each in suite.benchmarks}
    assert found.power.startswith("10 rounds of two processes")
    # What these rounds saw, and not what is assumed before a run.
    deviations = [row.change.deviation for row in found.rows if row.change and row.change.verdict]
    median = float(np.median(np.array(deviations, float)))
    assert f"differ by {100 * median:.1f} %, as half of these did at most" in found.power
    said = "Verdicts are of numpy too: 2.4.6 here, 2.0.0 with the other build."
    ours = store.read_suite("peers")
    assert ours is not None
    libraries = ours.environment["libraries"] | {"numpy": "2.0.0", "quarrow": "0.0.9"}
    store.write_suite(replace(ours, environment=ours.environment | {"libraries": libraries}), AB)
    (warned,) = [s for s in summarize(store, [], baseline=AB).suites if s.record.name == "peers"]
    assert warned.warnings[-1] == said
    assert "quarrow too" not in str(warned.warnings)
    assert said not in str([each.warnings for each in summarize(store, []).suites])
    # No NaN: programs read it.
    assert "NaN" not in as_json(found)


def test_programs_get_the_same_figures(summary: Summary) -> None:
    values = json.loads(as_json(summary))
    lines = list(csv.DictReader(io.StringIO(as_csv(summary))))
    rows = list(summary.rows)
    assert len(lines) == len(rows) == sum(len(each["benchmarks"]) for each in values["suites"])
    for line, row in zip(lines, rows, strict=True):
        assert line["id"] == row.id
        assert float(line["median_seconds"]) == row.estimate.median.value
    assert values["targets"][0]["state"] == "met"


def printed(summary: Summary, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    print_summary(console, summary, only=(), wanted=lambda name: True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_console_has_a_line_for_each_benchmark_that_matters(
    summary: Summary, width: int
) -> None:
    lines = printed(summary, width).splitlines()
    assert len(lines) < 40
    assert all(len(line) <= width for line in lines)
    assert any("targets: 1 met" in line for line in lines)


def test_a_restless_machine_is_said(tmp_path: Path) -> None:
    assert environment.warnings(ENVIRONMENT, QUIET) == []
    said = environment.warnings(ENVIRONMENT, RESTLESS)
    assert any("load was 3.4" in each for each in said)
    assert any("hypervisor" in each for each in said)
    governed = ENVIRONMENT | {"governor": "powersave", "boost": "1"}
    assert len(environment.warnings(governed, QUIET)) == 2


def test_targets_are_printed_with_their_state(summary: Summary) -> None:
    console = Console(width=80, file=io.StringIO(), color_system=None)
    print_targets(console, summary)
    print_rows(console, list(summary.rows)[:3], "previous")
    assert isinstance(console.file, io.StringIO)
    assert "\u2713 met" in console.file.getvalue()


def test_another_machine_has_another_name() -> None:
    here = environment.machine()
    assert environment.fingerprint() == environment.fingerprint(here)
    for change in ({"cpu": "another"}, {"cpus": 64}, {"memory_gib": 1}, {"huge_pages": "never"}):
        assert environment.fingerprint(here | change) != environment.fingerprint(here)


def test_versions_are_those_that_are_installed() -> None:
    found = environment.libraries({"numpy", "no-such-distribution"})
    assert set(found) == {"numpy"}
