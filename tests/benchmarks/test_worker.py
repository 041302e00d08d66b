# SPDX-License-Identifier: Apache-2.0
"""What is inside the clocks and what is not, by clocks that only a call moves."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from stored_runs import no_job

from benchmarks.harness import worker
from benchmarks.harness.case import Case, Job


class Clocks:
    """Time that passes when told so."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0

    def work(self, wall: float, cpu: float) -> None:
        self.wall += wall
        self.cpu += cpu

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.cpu


@dataclass
class State:
    """google-benchmark's, of one repetition."""

    left: int
    times: list[float] = field(default_factory=list)
    counters: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def set_iteration_time(self, seconds: float) -> None:
        self.times.append(seconds)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(worker, "time", made)
    return made


def body(job: Job, blocks: int = 3, **case: Any) -> State:
    state = State(blocks)
    worker.Body(Case("a", "a", no_job, **case), job, lambda **event: None)(state)
    return state


def stamps(core: float, total: float) -> SimpleNamespace:
    return SimpleNamespace(
        view_seconds=0.0,
        alloc_seconds=0.0,
        core_seconds=core,
        export_seconds=0.0,
        total_seconds=total,
    )


def test_what_comes_before_a_block_is_outside_of_the_clocks(clocks: Clocks) -> None:
    order: list[str] = []

    def call() -> None:
        order.append("call")
        clocks.work(2.0, 3.0)

    def before() -> None:
        order.append("before")
        clocks.work(5.0, 7.0)

    state = body(Job(call, before=before), calls=2)
    assert order == ["before", "call", "call"] * 3
    assert state.times == [4.0] * 3
    assert state.counters["cpu"] == 3.0


def test_cpu_time_is_that_of_the_process_and_of_one_call(clocks: Clocks) -> None:
    state = body(Job(lambda: clocks.work(1.0, 0.25)), calls=10)
    assert state.times == [10.0] * 3
    assert state.counters["cpu"] == 0.25


def test_freeing_a_result_is_a_figure_of_its_own(clocks: Clocks) -> None:
    class Result:
        def __del__(self) -> None:
            clocks.work(0.5, 0.5)

    def call() -> Result:
        clocks.work(1.0, 1.0)
        return Result()

    state = body(Job(call))
    assert state.times == [1.0] * 3
    assert (state.counters["free"], state.counters["cpu"]) == (0.5, 1.0)
    # Of a block of calls the last result is freed apart, the others within its time.
    state = body(Job(call), calls=4)
    assert state.times == [4 * 1.0 + 3 * 0.5] * 3
    assert state.counters["free"] == 0.5


def test_the_whole_is_what_the_caller_waits_for(clocks: Clocks) -> None:
    def call() -> SimpleNamespace:
        clocks.work(10.0, 10.0)
        return SimpleNamespace(stats=stamps(6.0, 8.0))

    def two_calls(_: object) -> list[Any]:
        return [stamps(2.0, 3.0), stamps(4.0, 4.5)]

    def whole(job: Job, **case: Any) -> tuple[float, float]:
        counters = body(job, **case).counters
        return counters["stage_core"], counters["stage_whole"]

    # One call of quarrow is what its caller waits for, and so is a job that says so.
    assert whole(Job(call)) == (6.0, 10.0)
    assert whole(Job(call, stats=two_calls, whole=True)) == (6.0, 10.0)
    assert whole(Job(call, whole=True), calls=4) == (6.0, 10.0)
    # Others do more than quarrow's calls: those say themselves how long they took.
    assert whole(Job(call, stats=two_calls)) == (6.0, 7.5)
    assert whole(Job(call), calls=4) == (6.0, 8.0)


def test_a_job_without_stamps_has_no_stages(clocks: Clocks) -> None:
    state = body(Job(lambda: clocks.work(1.0, 1.0)))
    assert set(state.counters) == {"cpu", "free", "page_faults", "switches"}
