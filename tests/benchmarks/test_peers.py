# SPDX-License-Identifier: Apache-2.0
"""The suite of peers: complete by its own account, whatever is installed."""

import importlib.util
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import file_peers
from benchmarks.array_peers import PEERS, peer_job
from benchmarks.array_peers.peer import MODULES, OVER_TORCH, Peer, steps
from benchmarks.fixtures import is_installed, weights
from benchmarks.harness.case import Case, WrongResultError
from benchmarks.harness.engine import ROOT
from benchmarks.suites import make_suite, peers

CASES = {case.id: case for case in make_suite("peers").cases}


def prepared_without_libraries() -> list[Case]:
    small = [case for case in CASES.values() if case.size in {0.0, 4.0}]
    return [case for case in small if case.package in {"quarrow", "numpy", ""}]


def test_ids_are_unique() -> None:
    assert len(CASES) == len(make_suite("peers").cases)


def test_every_peer_is_measured_or_missing() -> None:
    missing = make_suite("peers").missing
    for peer in PEERS:
        measured = f"{peer.id}_4mb" in CASES
        assert measured != (peer.package in missing), peer.id


def test_what_is_not_installed_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: find(name) if name in {"numpy", "torchao"} else None,
    )
    suite = make_suite("peers")
    assert {case.package for case in suite.cases} == {"", "numpy", "quarrow"}
    assert suite.missing["mlx"] == "not installed"
    assert suite.missing["torch"].startswith("not installed, no small_int4_torch")
    if is_installed("torchao"):
        assert suite.missing["torchao"] == "needs torch"


def test_the_package_around_a_missing_module_may_be_missing() -> None:
    assert not is_installed("no_such_package.no_such_module")


def test_making_the_suite_imports_no_library() -> None:
    wanted = {*MODULES.values(), *OVER_TORCH, *(peer.package for peer in PEERS)} - {"numpy"}
    program = (
        "import sys\n"
        "from benchmarks.suites import load_suite\n"
        "load_suite('peers')\n"
        f"print(*({wanted!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("format_", peers.FORMATS)
@pytest.mark.parametrize("megabytes", [4, 40, 400])
def test_a_peer_does_the_job_of_ours(format_: str, megabytes: int) -> None:
    job = CASES[f"{format_}_fresh_{megabytes}mb"].job
    rivals = {case.id for case in CASES.values() if case.role == "peer" and case.job == job}
    assert f"numpy_{format_}_{megabytes}mb" in rivals


def test_memory_that_exists_is_compared_with_the_copy_alone() -> None:
    into = [case for case in CASES.values() if "_into_" in case.id]
    assert len(into) == 18
    assert all(case.job == "" and case.copy for case in into)


def test_one_thread_is_compared_with_one_thread() -> None:
    for case in CASES.values():
        if case.job and case.size:
            assert case.job.endswith("one thread") == (case.threads == 1), case.id
            assert case.title.endswith("one thread") == (case.threads == 1), case.id
    for format_ in peers.FORMATS:
        job = CASES[f"{format_}_fresh_4mb_1_thread"].job
        rivals = {case.id for case in CASES.values() if case.role == "peer" and case.job == job}
        assert f"numpy_{format_}_4mb_1_thread" in rivals


def test_a_peer_that_has_one_thread_is_compared_with_one() -> None:
    mlx = next(peer for peer in PEERS if peer.id == "mlx_int4")
    for case in peers.peer_cases(mlx):
        assert case.job == CASES[f"int4_fresh_{case.size:g}mb_1_thread"].job
        assert (case.title.endswith(", one thread"), case.line) == (True, "mlx, 1 thread")


def test_peers_are_compared_with_a_copy_of_the_same_bytes() -> None:
    for case in CASES.values():
        if case.role == "peer" and case.size:
            assert CASES[case.copy].bytes == case.bytes > 0, case.id


@pytest.mark.parametrize("case", prepared_without_libraries(), ids=lambda case: case.id)
def test_results_are_right(case: Case) -> None:
    job = case.prepare()
    job.verify(job.call())


def recording(threads: int = 2, **how: Any) -> tuple[Peer, list[int]]:
    """A peer over a torch that notes how many threads it is told to use."""
    numpy_int8 = next(peer for peer in PEERS if peer.id == "numpy_int8")
    used: list[int] = []
    return replace(numpy_int8, package="torch", threads=threads, **{"split": False, **how}), used


def test_peers_use_as_many_threads_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    peer, used = recording()
    torch = SimpleNamespace(set_num_threads=used.append)
    monkeypatch.setitem(sys.modules, "torch", torch)
    for case in peers.peer_cases(peer):
        if case.size == 4:
            job = case.prepare()
            job.verify(job.call())
            assert used.pop() == case.threads == (1 if case.id.endswith("_1_thread") else 2)
    assert peer_job(peer, [peers.small()], 0).call()
    assert not used  # a small call leaves them alone


def test_a_peer_without_threads_gets_two_of_ours() -> None:
    peer, _ = recording(split=True)
    names: list[str] = []
    barrier = threading.Barrier(2, timeout=30)

    def way(w: Any) -> Any:
        quantize, restore = peer.way(w)

        def call() -> object:
            names.append(threading.current_thread().name)
            barrier.wait()  # passes where both are there
            return quantize()

        return call, restore

    w = weights(4)
    job = peer_job(replace(peer, way=way), [w], 2)
    result: Any = job.call()
    job.verify(result)
    assert len(set(names)) == 2
    assert [len(each[0]) for each in result] == [488, 488]


def test_file_peers_get_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    torch = SimpleNamespace(set_num_threads=used.append)
    for name in ("torch", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, name, torch)
    file_peers.PEERS[0].load()
    assert used == [2]


def test_codes_for_a_part_of_the_values_are_refused() -> None:
    peer, _ = recording()
    w = weights(4)[:128]
    call, restore = peer.way(w)
    peer.verify(call(), w, restore)
    with pytest.raises(WrongResultError, match="65536 bytes of codes instead of 131072"):
        peer.verify(peer.way(w[:64])[0](), w, restore)


def test_values_too_far_from_their_input_are_refused() -> None:
    w = np.linspace(-1, 1, 256, dtype=np.float32).reshape(2, 128)
    check = steps(128, 4, 0.5)
    check(w, w)
    shifted = w.copy()
    shifted[1, 5] += np.float32(0.1)
    with pytest.raises(WrongResultError, match=r"steps from their input, 0\.5 allowed"):
        check(shifted, w)
    with pytest.raises(WrongResultError, match="nothing was restored"):
        check(w[:0], w)
