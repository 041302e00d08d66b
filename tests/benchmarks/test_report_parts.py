# SPDX-License-Identifier: Apache-2.0
"""What pages of the benchmarks are made of: names of files, small pictures."""

import re

from benchmarks.harness.report import file_name, sparkline


def test_file_names_are_names_of_files_and_no_two_are_one() -> None:
    ids = [
        "a",
        "a/b",
        "a b",
        "..",
        "../a",
        ".a",
        "index",
        "",
        "\u00e4",
        "\u00f6",
        "int4_g128-best-f16-40mb",
    ]
    names = [file_name(each) for each in ids]
    assert len(set(names)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", each) for each in names)
    assert "index" not in names
    assert names[0] == "a"
    assert names[-1] == ids[-1]


def test_noise_does_not_fill_a_sparkline() -> None:
    assert sparkline([]) is None
    assert sparkline([1.0]) is None

    def height(history: list[float]) -> float:
        line = sparkline(history)
        assert line is not None
        assert len(line.points) == len(history)
        assert all(0 <= x <= line.width and 0 <= y <= line.height for x, y in line.points)
        return max(y for _, y in line.points) - min(y for _, y in line.points)

    assert height([1.0, 1.0, 1.0]) == 0
    assert height([1.0, 1.01, 1.0]) < 3
    assert height([1.0, 2.0, 1.0]) == 18
    slower = sparkline([1.0, 2.0])
    assert slower is not None
    assert slower.points[1][1] < slower.points[0][1]  # slower is higher
