# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import pytest
from stored_runs import make_store

from benchmarks import document
from benchmarks.harness.changes import Doubt
from benchmarks.harness.summary import Summary, summarize
from benchmarks.harness.targets import Target

TARGETS = [
    Target(
        "the copy",
        "value",
        ("numpy_vs_legacy/copy_4mb",),
        "ms",
        at_most=100,
        stated="150 ms",
        stated_target="5 ms",
        peer="numpy | scipy",
    ),
    Target("never run", "value", ("numpy_vs_legacy/none",), "us", at_most=1),
]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    store = make_store(tmp_path_factory.mktemp("store"))
    return summarize(store, TARGETS, Doubt(resamples=500))


def test_every_benchmark_and_target_is_in_the_document(summary: Summary, tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    document.write_document(summary, path)
    text = path.read_text(encoding="utf-8")
    for row in summary.rows:
        assert f"`{row.case['id']}`" in text
    for outcome in summary.outcomes:
        assert f"| {outcome.target.metric} |" in text
    assert "\u2713 met" in text
    assert "there are no samples of numpy_vs_legacy/none" in text
    assert "numpy \\| scipy" in text
    assert summary.suites[0].record.environment["machine"]["cpu"] in text


def test_every_line_of_a_table_has_the_columns_of_its_head(
    summary: Summary, tmp_path: Path
) -> None:
    document.write_document(summary, tmp_path / "performance.md")
    columns = 0
    for line in (tmp_path / "performance.md").read_text(encoding="utf-8").splitlines():
        count = line.replace("\\|", "").count("|")
        if not line.startswith("|"):
            columns = 0
        elif columns == 0:
            columns = count
        else:
            assert count == columns, line


def test_the_same_figures_make_the_same_document_and_plots(
    summary: Summary, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        document.write_document(summary, tmp_path / name / "performance.md")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert any(path.suffix == ".svg" for path in files)
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_an_empty_store_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert document.main([str(tmp_path)]) == 3
    assert "nothing is stored" in capsys.readouterr().err
