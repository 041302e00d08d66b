# SPDX-License-Identifier: Apache-2.0
"""Suites in processes of their own: what is sampled, what fails, what a run leaves."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import planted_suite
import pytest
from stored_runs import no_job

from benchmarks.harness import engine
from benchmarks.harness.case import Case, Suite
from benchmarks.harness.google_json import BenchmarkFailedError
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import AB, Store

pytestmark = pytest.mark.slow

FAST = Settings(samples=5, warm_up=0.0, measurement=0.02, time_cap=0.3)


@pytest.fixture(autouse=True)
def planted_worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(engine, "WORKER", planted_suite.WORKER)


def plan(*ids: Any, settings: Any = FAST) -> Any:
    return engine.plan(planted_suite.suite(), lambda name: name in ids, settings)


def run(*ids: Any, test: Any = False, settings: Any = FAST) -> Any:
    events: list[dict[str, Any]] = []
    found = engine.run_process(plan(*ids, settings=settings), 3, events.append, test=test)
    return found, events


def test_each_benchmark_leaves_its_samples() -> None:
    found, events = run("quantizing", "printing")
    assert {name: len(each) for name, each in found.samples.items()} == {
        "quantizing": 5,
        "printing": 5,
    }
    assert found.failures == {}
    assert {sample.process for sample in found.samples["quantizing"]} == {3}
    kinds = [event["event"] for event in events]
    assert kinds.count("prepared") == 2
    assert kinds.count("sample") >= 10


def test_a_sample_is_of_one_call_and_has_its_stages() -> None:
    found, _ = run("quantizing")
    # Of many calls even the shortest would be longer; of one, any may have waited for a CPU.
    assert 0 < min(sample.wall for sample in found.samples["quantizing"]) < 1e-3
    for sample in found.samples["quantizing"]:
        stages = {key: value for key, value in sample.counters.items() if key.startswith("stage_")}
        assert set(stages) == {
            f"stage_{s}" for s in ("view", "alloc", "core", "export", "total", "whole")
        }
        assert {"free", "page_faults", "switches"} <= set(sample.counters)
        assert 0 < stages["stage_core"] <= stages["stage_total"] < 10 * sample.wall


def test_a_wrong_result_has_no_time() -> None:
    found, _ = run("wrong", "printing")
    assert found.failures == {"wrong": "WrongResultError: 1 is not 2"}
    assert set(found.samples) == {"printing"}


def test_an_exception_is_told_and_the_others_go_on() -> None:
    found, _ = run("raising", "printing")
    assert found.failures["raising"].startswith("ZeroDivisionError")
    assert len(found.samples["printing"]) == 5


def test_a_slow_benchmark_gets_fewer_samples() -> None:
    found, _ = run("slow")
    assert len(found.samples["slow"]) == 1
    found, _ = run("slow", settings=replace(FAST, time_cap=0.7))
    assert len(found.samples["slow"]) == 3


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(BenchmarkFailedError, match="suite planted: its process ended with 7"):
        run("dying", "printing")


def test_a_test_runs_each_body_and_verifies_it() -> None:
    watched: list[dict[str, Any]] = []
    assert engine.test_suite(plan("quantizing", "printing", "slow"), watched.append) == {}
    failures = engine.test_suite(plan("quantizing", "wrong", "raising"), watched.append)
    assert set(failures) == {"wrong", "raising"}


def test_a_benchmark_without_samples_is_a_failure() -> None:
    # The worker's suite has no such benchmark.
    absent = replace(planted_suite.suite().cases[0], id="absent")
    chosen = replace(plan("printing"), cases=(*plan("printing").cases, absent))
    found = engine.run_process(chosen, 0, lambda event: None, test=False)
    assert found.failures == {"absent": "it left no samples"}


def test_a_filter_finds_what_ratios_need_too() -> None:
    def case(id_: str, role: Any = "ours", **rest: Any) -> Case:
        return Case(id_, id_, no_job, role, **rest)

    cases = (
        case("copy_4", "copy", bytes=4),
        case("copy_4_2_threads", "copy", bytes=4),
        case("copy_40", "copy", bytes=40),
        case("numpy_4", bytes=4, copy="copy_4", legacy="legacy_4"),
        case("numpy_40", bytes=40, copy="copy_40", legacy="legacy_40"),
        case("legacy_4", "legacy", bytes=4, copy="copy_4", seconds=0.1),
        case("legacy_40", "legacy", bytes=40, copy="copy_40", seconds=1.0),
    )
    suite = Suite("s", "s", "s", cases)

    def chosen(expression: str, settings: Settings = FAST) -> list[str]:
        found = engine.plan(suite, lambda name: expression in name, settings)
        return [each.id for each in found.cases]

    assert chosen("numpy_4") == [case.id for case in cases]
    assert chosen("numpy_40") == ["copy_40", "numpy_40", "legacy_40"]
    assert chosen("legacy_4")[:2] == ["copy_4", "copy_4_2_threads"]
    # What is too long is no more needed.
    assert chosen("numpy_40", FAST.quick()) == ["copy_40", "numpy_40"]
    assert chosen("nothing") == []


def test_quick_leaves_out_what_takes_long() -> None:
    quick = plan("dying", "printing", settings=Settings().quick())
    assert [case.id for case in quick.cases] == ["printing"]
    assert quick.left_out == ("dying",)


def test_a_suite_is_stored_with_what_surrounds_it(tmp_path: Path) -> None:
    store: Any = Store(tmp_path, "machine")
    failures = engine.measure_suite(plan("quantizing", "wrong"), store, lambda event: None)
    assert set(failures) == {"wrong"}
    record = store.read("planted", "quantizing")
    assert len(record.samples) == 5
    stored = store.read_suite("planted")
    assert stored.environment["quarrow"]["isa"]
    assert set(stored.noise) == {
        "load_before",
        "load_after",
        "stolen_share",
        "switches_per_second",
    }
    assert stored.run == record.run


def test_a_benchmark_that_fails_now_keeps_no_earlier_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = Store(tmp_path, "machine")
    engine.measure_suite(plan("printing", "quantizing"), store, lambda event: None)
    real = engine.run_process
    calls = []

    def fails_once(*arguments: Any, **options: Any) -> engine.Measured:
        measured = real(*arguments, **options)
        calls.append(1)
        return replace(measured, failures={"printing": "broken"} if len(calls) == 2 else {})

    monkeypatch.setattr(engine, "run_process", fails_once)
    chosen = plan("printing", "quantizing", settings=replace(FAST, processes=3))
    assert engine.measure_suite(chosen, store, lambda event: None) == {"printing": "broken"}
    assert store.read("planted", "printing") is None
    assert len(store.read("planted", "quantizing").by_process()) == 3


def test_two_builds_alternate_and_are_compared_in_rounds(tmp_path: Path) -> None:
    store: Any = Store(tmp_path, "machine")
    marks = tmp_path / "marks"
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\necho >>"{marks}"\nexec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    chosen = plan("sleeping", settings=replace(FAST, samples=20, processes=3, time_cap=9.0))
    assert engine.measure_suite(chosen, store, lambda event: None, str(other)) == {}
    assert len(marks.read_text()) == 3
    ours, theirs = (store.read("planted", "sleeping", name) for name in ("new", AB))
    assert ours.run == theirs.run
    # 20 are no whole number a round: what was asked for is what the rounds were told.
    assert ours.settings["samples"] == theirs.settings["samples"] == 18
    assert [len(each) for each in ours.by_process()] == [6, 6, 6]
    assert [len(each) for each in theirs.by_process()] == [6, 6, 6]


def test_rounds_come_in_a_drawn_order_and_hermits_have_processes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[int, tuple[str, ...], str]] = []

    def run_process(chosen: Any, process: int, *rest: Any, python: str, **_: Any) -> Any:
        ran.append((process, tuple(case.id for case in chosen.cases), python))
        return engine.Measured(environment={"machine": {"cpus": 2}})

    monkeypatch.setattr(engine, "run_process", run_process)
    store: Any = Store(tmp_path, "machine")
    chosen = plan("printing", "sleeping", "hermit", settings=replace(FAST, processes=8))
    engine.measure_suite(chosen, store, lambda event: None, "other")
    together = [each for each in ran if each[1] == ("printing", "sleeping")]
    alone = [each for each in ran if each[1] == ("hermit",)]
    assert len(together) == len(alone) == 16
    for kind in (together, alone):
        firsts = [python for _, _, python in kind[::2]]
        assert [process for process, *_ in kind[::2]] == list(range(8))
        # Each is first in one of two rounds.
        assert all(a != b for a, b in zip(firsts[::2], firsts[1::2], strict=True))
        assert firsts not in (["other", sys.executable] * 4, [sys.executable, "other"] * 4)
        seconds = [python for _, _, python in kind[1::2]]
        assert all(a != b for a, b in zip(firsts, seconds, strict=True))
    # A second run draws the same order.
    before = list(ran)
    ran.clear()
    engine.measure_suite(chosen, store, lambda event: None, "other")
    assert ran == before


def test_warming_up_comes_before_the_samples() -> None:
    settings = replace(FAST, samples=2, time_cap=10.0, measurement=0.01)
    hot, cold = (run("slow", settings=replace(settings, warm_up=up)) for up in (0.5, 0.0))
    for found, events in (hot, cold):
        assert len(found.samples["slow"]) == 2, events
    bodies = [sum(each["event"] == "sample" for each in events) for _, events in (hot, cold)]
    assert bodies[0] > bodies[1]


def test_sleeping_takes_time_and_no_cpu() -> None:
    for cap in (10.0, 0.001):
        found, _ = run("sleeping", settings=replace(FAST, time_cap=cap))
        for sample in found.samples["sleeping"]:
            assert sample.wall >= 0.01
            assert sample.cpu < 0.5 * sample.wall


def test_a_job_with_a_pause_is_one_block_a_sample_and_does_not_warm_up() -> None:
    # As little as this is thousands of such calls.
    settings = replace(FAST, warm_up=0.001, measurement=0.01, time_cap=10.0)
    found, _ = run("pausing", settings=settings)
    assert [sample.iterations for sample in found.samples["pausing"]] == [1] * 5


def children() -> set[str]:
    """Return the processes that this one started and that are there."""
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


def test_interrupting_leaves_the_store_readable_and_no_process(tmp_path: Path) -> None:
    store: Any = Store(tmp_path, "machine")
    engine.measure_suite(plan("printing"), store, lambda event: None)
    before = store.read("planted", "printing")
    others = children()

    def interrupt() -> Any:
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    long = replace(FAST, samples=100, measurement=60.0, time_cap=100.0)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        engine.measure_suite(plan("slow", "printing", settings=long), store, lambda event: None)
    assert store.read("planted", "printing") == before
    assert store.skipped == []
    assert children() <= others
