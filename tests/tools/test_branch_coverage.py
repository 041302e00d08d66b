# SPDX-License-Identifier: Apache-2.0
"""What is told of counters that gcovr read."""

import sys
from typing import Any

import branch_coverage
import pytest


def file(name: str, **lines: list[int]) -> dict[str, Any]:
    """Return what gcovr says of a file: for each line how often its branches were taken."""
    return {
        "file": name,
        "lines": [
            {"line_number": int(number[1:]), "branches": [{"count": count} for count in counts]}
            for number, counts in lines.items()
        ],
    }


def test_lines_are_named_and_folders_summed() -> None:
    told, _ = branch_coverage.report(
        [
            file("src/core/a.cpp", _7=[], _12=[3, 0], _15=[1, 1]),
            file("src/core/b.cpp", _1=[0, 0, 5]),
            file("src/kernels/c.cpp", _2=[0, 1]),
        ]
    )
    assert told == [
        "src/core/a.cpp:12: 1 of 2 never taken",
        "src/core/b.cpp:1: 2 of 3 never taken",
        "src/kernels/c.cpp:2: 1 of 2 never taken",
        "branches taken, without those of exceptions:",
        " 57.1 %      4 of     7  src/core",
        " 50.0 %      1 of     2  src/kernels",
        " 57.1 %      4 of     7  src/core src/containers src/pipeline src/quantize",
        "too few: at least 95 % of the last line must be taken",
    ]


def test_all_but_one_is_not_all() -> None:
    assert branch_coverage.percentage(10_000, 9_999) == " 99.9 %"
    assert branch_coverage.percentage(0, 0) == "100.0 %"


def test_it_fails_below_what_is_required_of_the_layers_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def result_of(*files: dict[str, Any]) -> int:
        monkeypatch.setattr(sys, "argv", ["branch_coverage.py", "--report"])
        monkeypatch.setattr(branch_coverage, "read_counters", lambda: list(files))
        return branch_coverage.main()

    enough = file("src/core/a.cpp", _1=[1] * 15), file("src/pipeline/b.cpp", _1=[1] * 4 + [0])
    assert result_of(*enough) == 0
    assert "too few" not in capsys.readouterr().out
    # What other layers have changes nothing.
    assert result_of(*enough, file("src/kernels/c.cpp", _1=[0] * 1000)) == 0
    assert result_of(*enough, file("src/quantize/d.cpp", _1=[0])) == 1
    assert "too few: at least 95 %" in capsys.readouterr().out
    # No counters at all.
    assert result_of() == 1
