# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the benchmarks, on samples made by hand, and one quick run."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.rounds import Case, Ratio, ratio, run_rounds, verdict

ROOT = Path(__file__).parents[2]


def test_every_case_is_sampled_once_a_round_and_warmed_up() -> None:
    calls: list[str] = []
    cases = [Case(name, lambda name=name: calls.append(name)) for name in "abc"]  # type: ignore[misc]
    run_rounds(cases, rounds=7)
    assert [len(case.wall) for case in cases] == [7, 7, 7]
    assert [len(case.cpu) for case in cases] == [7, 7, 7]
    assert sorted(calls) == sorted("abc" * 8)
    assert len({tuple(calls[i : i + 3]) for i in range(3, 24, 3)}) > 1


def test_a_sample_is_the_time_of_one_call() -> None:
    case = Case("work", lambda: sum(range(2000)), calls=50)
    once = Case("work", lambda: [sum(range(2000)) for _ in range(50)])
    run_rounds([case, once], rounds=9)
    assert 10 < np.median(once.wall) / np.median(case.wall) < 250


def test_the_ratio_is_that_of_the_same_round() -> None:
    random = np.random.default_rng(1)
    noise = random.uniform(1, 10, 200)
    measured = ratio((0.5 * noise).tolist(), noise.tolist())
    assert measured.low == measured.median == measured.high == 0.5


def test_the_interval_covers_the_median_of_known_samples() -> None:
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(40):
        samples = random.lognormal(np.log(2.0), 0.3, 60)
        measured = ratio(samples.tolist(), [1.0] * 60)
        covered += measured.low <= 2.0 <= measured.high
    assert covered >= 34


def test_verdicts() -> None:
    assert verdict(Ratio(0.8, 0.7, 0.9), 0.9) == "met"
    assert verdict(Ratio(0.8, 0.7, 0.91), 0.9) == "undecided"
    assert verdict(Ratio(1.0, 0.91, 1.2), 0.9) == "missed"


def test_a_quick_run_prints_its_rows(tmp_path: Path) -> None:
    output = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--filter", "binding|small"]
    result = subprocess.run(
        [*command, "--json", output], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "binding, 4 MB int4" in result.stdout
    assert output.stat().st_size > 0


def test_an_unknown_filter_is_an_error() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--filter", "nonsense"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "nothing is named 'nonsense'" in result.stderr
