# SPDX-License-Identifier: Apache-2.0
"""The injector and its runner find what was planted, and nothing where nothing is."""

import pytest

from tests.faults import planted_jobs
from tests.faults.__main__ import INJECTOR
from tests.faults.runner import Choice, JobRun, Tally

pytestmark = pytest.mark.skipif(
    not INJECTOR.is_file(), reason="the injector is not built (tools/setup cpp-tests; Linux alone)"
)


def tried(job: str, *calls: str, every: int = 20, sample: int = 0, patience: float = 60) -> Tally:
    chosen = Choice(every, sample, seed=0, calls=calls)
    place = f"{planted_jobs.__name__}:{job}"
    return JobRun(place, planted_jobs.KINDS[job], INJECTOR, patience=patience).run(chosen)


def problems(tally: Tally) -> set[str]:
    return {problem for failure in tally.failures for problem in failure.problems}


def test_a_job_that_takes_all_of_them_well_has_no_failure() -> None:
    tally = tried("sound")
    assert (problems(tally), tally.left_out) == (set(), 0)
    assert tally.injected > 30


@pytest.mark.parametrize(
    ("job", "call", "found"),
    [
        ("temporary", "fsync", ".out.quarrow-1.tmp different"),
        ("untyped", "fsync", "untyped: builtins.KeyError"),
        ("half", "write", "not the old files or the new, but out different"),
        ("descriptor", "write", "a descriptor more: "),
        ("remembers", "fsync", "the next call: a wrong result"),
        ("believes", "fsync", "not the new files, but out old"),
        ("misnamed", "malloc", "another error than what happened: quarrow"),
        ("abort", "new", "ended by SIGABRT"),
        ("unchecked", "malloc", "ended by SIGSEGV"),
    ],
)
def test_what_was_planted_is_found(job: str, call: str, found: str) -> None:
    tally = tried(job, call)
    assert any(problem.startswith(found) or found in problem for problem in problems(tally)), tally


@pytest.mark.slow
def test_a_hang_is_found_and_the_rest_goes_on() -> None:
    tally = tried("hang", "malloc", patience=5)
    assert problems(tally) == {"no end within 5 s"}
    # Once and for all that follow.
    assert len(tally.failures) == 2


def test_each_call_of_the_library_fails_once() -> None:
    tally = tried("allocations", "malloc")
    # Three calls, failing alone and with all that follow.
    assert (tally.injected, tally.left_out, problems(tally)) == (6, 0, set())
    few = tried("allocations", "malloc", every=1, sample=1)
    assert (few.injected, few.left_out) == (4, 2)


def test_a_failure_tells_how_to_see_it_again() -> None:
    failure = tried("unchecked", "malloc").failures[0]
    text = str(failure)
    assert "unchecked: malloc ENOMEM, call number 1" in text
    assert "libquarrow_planted.so(planted_unchecked" in text
    assert "again: --job unchecked --call malloc --error ENOMEM --at 1" in text
