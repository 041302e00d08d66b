# SPDX-License-Identifier: Apache-2.0
"""The figures of the summary at the end of a job."""

import pytest
from quarrow.cli.summary import change_text, print_summary
from quarrow.file_report import FileReport


def report(seconds: float, files: int = 1) -> FileReport:
    return FileReport(
        source="in",
        destination="out",
        files=[f"out{number}" for number in range(files)],
        format="int8",
        bytes_in=8_000_000,
        bytes_out=2_000_000,
        seconds=seconds,
        layers=[],
        warnings=[],
    )


def test_throughput_is_that_of_what_was_read(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(report(seconds=2.0))
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["size", "8.00 MB -> 2.00 MB (75.0% smaller)"],
        ["time", "2.00 s (4.00 MB/s)"],
        ["quantized", "0 tensors"],
    ]


def test_no_time_is_no_throughput(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(report(seconds=0.0, files=3))
    printed = capsys.readouterr().out
    assert "0.00 s\n" in printed
    assert "/s" not in printed
    assert "2 and out2\n" in printed


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.5031, "49.7% smaller"),
        (1.986, "98.6% larger"),
        (1.0, "about the same"),
        (1.0004, "about the same"),
        (0.0, "100.0% smaller"),
    ],
)
def test_a_change_of_size_is_in_words(ratio: float, words: str) -> None:
    assert change_text(ratio) == words


def test_a_report_page_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(report(seconds=1.0), page="a \x1b[31m page.html")
    assert "report      a \\x1b[31m page.html\n" in capsys.readouterr().out
