# SPDX-License-Identifier: Apache-2.0
"""The suite of peers: complete by its own account, whatever is installed."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import array_peers
from benchmarks.array_peers.peer import check_restored, is_installed
from benchmarks.harness.case import Case, WrongResultError
from benchmarks.harness.engine import ROOT
from benchmarks.harness.targets import read_targets
from benchmarks.suites import peers

CASES = {case.id: case for case in peers.suite().cases}


def named_by_targets() -> list[str]:
    targets = read_targets()
    ids = {each for target in targets for each in (*target.of, target.baseline)}
    return sorted(each.removeprefix("peers/") for each in ids if each.startswith("peers/"))


def prepared_without_libraries() -> list[Case]:
    small = [case for case in CASES.values() if case.size in {0.0, 4.0}]
    return [case for case in small if case.package in {"quarrow", "numpy", ""}]


@pytest.mark.parametrize("id_", named_by_targets())
def test_what_targets_name_is_measured_or_named_missing(id_: str) -> None:
    assert id_ in CASES or id_ in peers.suite().missing["torch"]


def test_ids_are_unique() -> None:
    assert len(CASES) == len(peers.suite().cases)


def test_every_peer_is_measured_or_missing() -> None:
    missing = peers.suite().missing
    for peer in array_peers.ALL:
        measured = f"{peer.id}_4mb" in CASES
        assert measured != (peer.package in missing), peer.id


def test_what_is_not_installed_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: find(name) if name in {"numpy", "torchao"} else None,
    )
    suite = peers.suite()
    assert {case.package for case in suite.cases} == {"", "numpy", "quarrow"}
    assert suite.missing["mlx"] == "not installed"
    assert suite.missing["torch"].startswith("not installed: no small_int4_torch")
    if is_installed("torchao"):
        assert suite.missing["torchao"] == "needs torch"


def test_the_package_around_a_missing_module_may_be_missing() -> None:
    assert not is_installed("no_such_package.no_such_module")


def test_making_the_suite_imports_no_library() -> None:
    wanted = {each for peer in array_peers.ALL for each in peer.needs} - {"numpy"}
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
        if case.job:
            assert case.job.endswith("one thread") == case.id.endswith("_1_thread"), case.id


def test_peers_are_compared_with_a_copy_of_the_same_bytes() -> None:
    for case in CASES.values():
        if case.role == "peer" and case.size:
            assert CASES[case.copy].bytes == case.bytes > 0, case.id


@pytest.mark.parametrize("case", prepared_without_libraries(), ids=lambda case: case.id)
def test_results_are_right(case: Case) -> None:
    job = case.prepare()
    job.verify(job.call())


def test_values_too_far_from_their_input_are_refused() -> None:
    w = np.linspace(-1, 1, 256, dtype=np.float32).reshape(2, 128)
    check_restored(w, w, group=128, bits=4, most=0.5)
    shifted = w.copy()
    shifted[1, 5] += np.float32(0.1)
    with pytest.raises(WrongResultError, match=r"steps from their input, 0\.5 allowed"):
        check_restored(shifted, w, group=128, bits=4, most=0.5)
