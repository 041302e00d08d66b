# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path
from typing import Any

import pytest
from stored_runs import no_job

from benchmarks.harness.case import Case, RefusedError
from benchmarks.harness.store import (
    AB,
    PREVIOUS,
    Record,
    Sample,
    Store,
    SuiteRecord,
)

SUITE = SuiteRecord(
    name="suite",
    title="A suite",
    about="",
    order=["b", "a"],
    missing={},
    environment={"machine": {"cpus": 2}},
    noise={"load_before": 0.0},
    started="2026-01-01T00:00:00+00:00",
    seconds=1.0,
    settings={},
    run="one",
)


def record(id_: Any = "a", wall: Any = 1.0) -> Any:
    case = Case(id_, id_, no_job).described()
    samples = [Sample(0, wall, wall, 1, {"free": 0.5}), Sample(1, 2 * wall, wall, 3)]
    return Record("suite", case, samples, "one", {"samples": 2})


@pytest.fixture
def store(tmp_path: Path) -> Any:
    return Store(tmp_path, "machine")


def test_what_was_written_is_read(store: Any) -> None:
    store.write(record())
    store.write_suite(SUITE)
    assert store.read("suite", "a") == record()
    assert store.read_suite("suite") == SUITE
    assert store.suites() == ["suite"]
    assert store.skipped == []


def test_samples_are_split_by_process_and_what(store: Any) -> None:
    walls = record().by_process()
    assert [list(each) for each in walls] == [[1.0], [2.0]]
    assert [list(each) for each in record().by_process("free")] == [[0.5]]
    assert record().by_process("nothing") == []


def test_the_latest_becomes_the_previous(store: Any) -> None:
    store.write(record(wall=1.0))
    store.write(record(wall=3.0))
    assert store.read("suite", "a", PREVIOUS).samples[0].wall == 1.0
    assert store.read("suite", "a").samples[0].wall == 3.0


def test_a_baseline_stays_as_it_was(store: Any) -> None:
    store.write_suite(SUITE)
    store.write(record(wall=1.0))
    store.save_as("mine", ["suite"])
    store.write(record(wall=3.0))
    assert store.baselines() == ["mine"]
    assert store.read("suite", "a", "mine").samples[0].wall == 1.0
    assert [each.case["id"] for each in store.records("suite", "mine")] == ["a"]


def test_what_is_forgotten_is_of_that_name_alone(store: Any) -> None:
    store.write_suite(SUITE)
    for name in ("new", AB):
        store.write(record(), name)
    store.forget(AB)
    assert store.read("suite", "a", AB) is None
    assert store.read("suite", "a") == record()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "new", "previous", "memory", "a\0"])
def test_a_name_that_is_a_path_or_taken_is_refused(store: Any, name: Any) -> None:
    with pytest.raises(RefusedError, match="no name for a baseline"):
        store.save_as(name, ["suite"])


def test_benchmarks_come_in_the_order_of_their_suite(store: Any) -> None:
    store.write_suite(SUITE)
    for id_ in ("zz", "a", "b"):
        store.write(record(id_))
    assert [each.case["id"] for each in store.records("suite")] == ["b", "a", "zz"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged, not the samples"),
        ('{"schema": 1, "samples"', "damaged, not the samples"),
        ("\0\0\0", "damaged, not the samples"),
        ("[]", "damaged, not the samples"),
        ('{"schema": 0}', "another version"),
        ('{"schema": 2, "suite": "suite"}', "another version"),
        ('{"schema": 1}', "damaged, not the samples"),
        ('{"schema": 1, "samples": 3}', "damaged, not the samples"),
        ('{"schema": 1, "samples": [{"wall": 1}]}', "damaged, not the samples"),
    ],
)
def test_a_damaged_or_older_file_is_said_and_skipped(store: Any, text: Any, said: Any) -> None:
    for id_ in ("a", "b"):
        store.write(record(id_))
    (store.folder / "suite/a/new.json").write_text(text, encoding="utf-8")
    assert [each.case["id"] for each in store.records("suite")] == ["b"]
    assert len(store.skipped) == 1
    assert said in store.skipped[0]


@pytest.mark.parametrize(
    "change",
    [
        {"samples": []},
        {"case": {"id": "a"}},
        {"case": Case("../a", "", no_job).described()},
        {"suite": "another"},
        {"settings": {}},
        {"settings": {"samples": "many"}},
        {"samples": [{"process": 0, "wall": 1, "cpu": "x", "iterations": 1, "counters": {}}]},
        {"samples": [{"process": 0, "wall": 1, "cpu": 1, "iterations": 1, "counters": 5}]},
        {"samples": [{"process": 0, "wall": 1e999, "cpu": 1, "iterations": 1, "counters": {}}]},
        {"samples": [{"process": 0, "wall": 0.0, "cpu": 0, "iterations": 1, "counters": {}}]},
        {"samples": [{"process": 0, "wall": "x", "cpu": 0, "iterations": 1, "counters": {}}]},
    ],
)
def test_a_record_that_says_nothing_is_skipped(store: Any, change: Any) -> None:
    store.write(record())
    path = store.folder / "suite/a/new.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    assert store.read("suite", "a") is None
    assert "damaged" in store.skipped[0]


@pytest.mark.parametrize("change", [{"environment": {}}, {"noise": {}}, {"extra": 1}])
def test_a_suite_that_says_nothing_is_skipped(store: Any, change: Any) -> None:
    store.write_suite(SUITE)
    path = store.folder / "suite/suite-new.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    assert store.read_suite("suite") is None
    assert "damaged, not a suite" in store.skipped[0]


def test_what_failed_has_no_latest_figures(store: Any) -> None:
    store.write(record(wall=1.0))
    store.retire("suite", "a")
    store.retire("suite", "a")
    assert store.read("suite", "a") is None
    assert store.read("suite", "a", PREVIOUS).samples[0].wall == 1.0


def test_memory_belongs_to_no_run(store: Any) -> None:
    store.write_memory("suite", "a", {"peak": 5})
    assert store.read("suite", "a") is None
    store.write(record())
    store.write(record())
    assert store.read("suite", "a").memory == {"peak": 5}
    assert store.read("suite", "a", PREVIOUS).memory == {"peak": 5}
    assert store.baselines() == []
    (store.folder / "suite/a/memory.json").write_text('{"schema": 1}', encoding="utf-8")
    assert store.read("suite", "a").memory is None
    assert "not figures of memory" in store.skipped[-1]


def test_figures_of_two_machines_are_kept_apart(tmp_path: Path) -> None:
    one: Any = Store(tmp_path, "one")
    other: Any = Store(tmp_path, "other")
    one.write(record())
    one.write_suite(SUITE)
    assert other.read("suite", "a") is None
    assert Store(tmp_path, "other").others == ["one"]


def test_nothing_half_written_is_left(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(record(wall=1.0))

    def fail(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        store.write(record(wall=3.0))
    monkeypatch.undo()
    assert store.read("suite", "a").samples[0].wall == 1.0
    assert [each.name for each in (store.folder / "suite/a").iterdir()] == ["new.json"]
