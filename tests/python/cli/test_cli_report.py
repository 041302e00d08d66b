# SPDX-License-Identifier: Apache-2.0
"""`--report`: the page as a file, and what is inside before a browser runs it."""

import html
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import quarrow as qr
from quarrow.cli.output_files import write_text
from quarrow.cli.report_page import render

RunCli = Callable[..., subprocess.CompletedProcess[str]]
WriteModel = Callable[[dict[str, npt.NDArray[np.generic]]], Path]

QUANTIZE = ("quantize", "model.safetensors", "out.safetensors", "-f", "int8_rowwise")
REPORT = ("--report", "page.html")
HOSTILE = "</script><img src=x onerror=alert(1)>&quot;\"'\x1b\u202e\u2028{{7*7}}.weight"


class Markup(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


def parsed(page: str) -> Markup:
    markup = Markup()
    markup.feed(page)
    return markup


def data_of(page: str) -> Any:
    return json.loads(parsed(page).scripts[0])


def page_of(report: qr.FileReport, command: str = "quarrow quantize a b") -> str:
    return render(report, command=command, made=datetime(2026, 11, 27, 12, 30, tzinfo=UTC))


def words_of(page: str, term: str) -> str:
    """Return what the head of the page says of a term, without markup."""
    found = re.search(rf"<dt>{term}</dt><dd>(.*?)</dd>", page)
    assert found is not None
    return html.unescape(re.sub("<[^>]*>", "", found[1]))


def test_the_page_says_by_which_command_it_was_made_and_when(run_cli: RunCli, model: Path) -> None:
    before = datetime.now(tz=UTC)
    result = run_cli(*QUANTIZE, "--report", "a page.html", "--exclude", "x&<y>")
    assert (result.returncode, result.stderr.count("\n")) == (0, 1)
    assert "report      a page.html\n" in result.stdout
    page = (model.parent / "a page.html").read_text()
    command = f"quarrow {' '.join(QUANTIZE)} --report 'a page.html' --exclude 'x&<y>'"
    assert words_of(page, "command") == command
    made = datetime.fromisoformat(words_of(page, "made"))
    assert before - timedelta(seconds=1) <= made <= datetime.now(tz=UTC)


def test_a_command_becomes_no_markup_and_no_control_character() -> None:
    page = page_of(report_of([]), f"quarrow quantize {HOSTILE}")
    assert words_of(page, "command").isprintable()
    assert words_of(page, "command").startswith("quarrow quantize </script><img")
    assert words_of(page, "made") == "2026-11-27 12:30:00+00:00"
    assert "img" not in {tag for tag, _ in parsed(page).tags}


def test_the_page_has_every_tensor_and_its_error(run_cli: RunCli, model: Path) -> None:
    result = run_cli(*QUANTIZE, *REPORT, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    rows = {row[0]: row for row in data_of((model.parent / "page.html").read_text())["rows"]}
    for layer in json.loads(result.stdout)["layers"]:
        row = rows.pop(layer["name"])
        assert row[4:6] == [layer["bytes_in"], layer["bytes_out"]]
        if layer["action"] == "quantized":
            assert row[1] == "int8_rowwise"
            assert row[6:] == [
                layer["error"][key] for key in ("sqnr_db", "max_abs", "rmse", "cosine")
            ]
        else:
            assert row[1:2] + row[6:] == [f"left alone: {layer['reason']}"]
    assert rows == {}


def test_groups_and_dots_say_what_the_layers_say() -> None:
    layers = [quantized("a", 20.0), quantized("b", 40.0)]
    layers.append(qr.LayerReport("c", "kept", None, "a norm", (9,), "F16", "F16", 18, 18, None))
    page = page_of(report_of(layers))
    cells = re.sub(r"<[^>]*>|\s+", " ", page[page.index('id="groups"') : page.index('id="errors"')])
    assert re.search(r" int8 +2 +32 B +24 B ", cells)
    assert re.search(r" left alone +a norm +1 +18 B +18 B ", cells)
    # The higher the ratio, the higher the dot: 20 dB at the bottom of the plot, 40 at its top.
    dots = re.findall(r"M([\d.]+) ([\d.]+)h0", page)
    assert dots == [("250.0", "240.0"), ("750.0", "0.0")]


def test_a_plan_can_have_a_page_which_has_no_errors(run_cli: RunCli, model: Path) -> None:
    assert run_cli(*QUANTIZE, *REPORT, "--dry-run").returncode == 0
    page = model.parent / "page.html"
    assert set(model.parent.iterdir()) == {model, page}
    text = page.read_text()
    assert "No errors were measured" in text
    assert "A dry run" in text
    assert len(data_of(text)["columns"]) == 6


def report_of(layers: list[qr.LayerReport], format_name: str | None = "int8") -> qr.FileReport:
    return qr.FileReport(
        source="a",
        destination="b",
        files=["b"],
        format=format_name,
        bytes_in=sum(layer.bytes_in for layer in layers),
        bytes_out=sum(layer.bytes_out for layer in layers),
        seconds=0.0,
        layers=layers,
        warnings=[],
    )


def quantized(name: str, sqnr_db: float) -> qr.LayerReport:
    error = {"max_abs": 0.1, "rmse": 0.01, "sqnr_db": sqnr_db, "cosine": 0.5}
    return qr.LayerReport(name, "quantized", "int8", None, (4, 2), "F16", "F16", 16, 12, error)


def test_a_file_without_tensors_has_a_page(run_cli: RunCli, write_model: WriteModel) -> None:
    write_model({})
    result = run_cli(*QUANTIZE, *REPORT, "--json")
    assert result.returncode == 1
    assert "it has no tensors" in result.stderr
    page = page_of(report_of([]))
    assert "The file has no tensors" in page
    assert data_of(page)["rows"] == []


def test_a_page_of_100_000_layers_lists_each_and_few_groups() -> None:
    layers = [quantized(f"{index}.weight", index % 50) for index in range(60_000)]
    layers += [
        qr.LayerReport(f"{i}", "kept", None, f"error in {i}", (4,), "F16", "F16", 8, 8, None)
        for i in range(40_000)
    ]
    page = page_of(report_of(layers))
    data = data_of(page)
    assert len(data["rows"]) == 100_000
    assert len(data["groups"]) < 100
    assert re.search(r"39,9\d\d more, each for a reason of its own", page)
    assert page.count("M") > 60_000
    assert len(page) < 30_000_000


@pytest.mark.parametrize(
    ("values", "drawn", "lowest"),
    [
        ([math.inf], 0, "\u221e dB"),
        ([math.nan], 0, None),
        ([-math.inf, 20.0], 1, "-\u221e dB"),
        ([20.0, 20.0], 2, "20.0 dB"),
        ([-3000.0, 3000.0], 2, "-3000.0 dB"),
    ],
)
def test_errors_that_are_no_numbers_are_not_drawn(
    values: list[float], drawn: int, lowest: str | None
) -> None:
    layers = [quantized(f"{index}", value) for index, value in enumerate(values)]
    page = page_of(report_of(layers))
    assert sum(dots.count("M") for dots in re.findall(r'class="dots.*?d="(.*?)"', page)) == drawn
    assert re.findall(r"lowest SQNR of a layer</dt><dd>(.*?)<", page) == (
        [lowest] if lowest else []
    )
    assert len(data_of(page)["rows"]) == len(values)


def test_restored_and_converted_tensors_are_told_apart() -> None:
    layers = [
        qr.LayerReport("a", "restored", None, None, (2, 2), "BF16", "F32", 4, 16, None),
        qr.LayerReport("b", "converted", None, "a norm", (2,), "F32", "F16", 8, 4, None),
    ]
    page = page_of(report_of(layers, None))
    assert "Restored checkpoint" in page
    assert [row[1:3] for row in data_of(page)["rows"]] == [
        ["restored to F32", "BF16 to F32"],
        ["converted to F16: a norm", "F32 to F16"],
    ]


def test_nothing_in_a_name_becomes_markup(run_cli: RunCli, write_model: WriteModel) -> None:
    weight = np.ones((32, 64), np.float32)
    path = write_model({HOSTILE: weight, "plain": np.ones(3, np.float32), "q.weight": weight})
    result = run_cli(*QUANTIZE, *REPORT, "--exclude", "<script>|img")
    assert result.returncode == 0
    page = (path.parent / "page.html").read_text(encoding="utf-8")
    markup = parsed(page)
    assert [tag for tag, _ in markup.tags].count("script") == 2
    assert "img" not in {tag for tag, _ in markup.tags}
    assert data_of(page)["rows"][0][0].startswith("</script><img")
    assert data_of(page)["rows"][0][0].isprintable()
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "{{" in data_of(page)["rows"][0][0]
    assert "<script>|img" not in page


def test_the_page_asks_nobody_for_anything(run_cli: RunCli, model: Path) -> None:
    run_cli(*QUANTIZE, *REPORT)
    page = (model.parent / "page.html").read_text()
    markup = parsed(page)
    links = [
        value
        for _, attributes in markup.tags
        for key, value in attributes.items()
        if key in ("src", "href", "action", "srcset")
    ]
    assert links == ["data:,"]
    assert not re.search(r"@import|url\(|https?://|fetch\(|innerHTML|\bstyle=|\bon\w+=", page)
    policy = next(
        a["content"] for tag, a in markup.tags if "Security" in (a.get("http-equiv") or "")
    )
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ("there.html", "--force"),
        (".", "folder"),
        ("absent/page.html", "No such file"),
        ("model.safetensors", "another file"),
        ("out.safetensors", "another file"),
        ("pipe", "a pipe"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_job(
    run_cli: RunCli, model: Path, report: str, words: str
) -> None:
    (model.parent / "there.html").write_text("old")
    os.mkfifo(model.parent / "pipe")
    before = model.read_bytes()
    result = run_cli(*QUANTIZE, "--report", report)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert words in result.stderr
    assert model.read_bytes() == before
    assert sorted(path.name for path in model.parent.iterdir()) == [
        "model.safetensors",
        "pipe",
        "there.html",
    ]
    assert (model.parent / "there.html").read_text() == "old"


def test_force_replaces_the_page_and_keeps_a_link(run_cli: RunCli, model: Path) -> None:
    target = model.parent / "target.html"
    target.write_text("old")
    link = model.parent / "page.html"
    link.symlink_to(target)
    assert run_cli(*QUANTIZE, *REPORT, "--force").returncode == 0
    assert link.is_symlink()
    assert target.read_text().startswith("<!doctype html>")


def test_force_replaces_no_pipe_and_no_shard(run_cli: RunCli, model: Path) -> None:
    # As root, a device would be lost for the whole machine.
    os.mkfifo(model.parent / "pipe")
    result = run_cli(*QUANTIZE, "--report", "pipe", "--force")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert (model.parent / "pipe").is_fifo()
    sharded = (*QUANTIZE, "--max-shard-size", "6kB", "--force")
    shard = "out-00001-of-00003.safetensors"
    assert run_cli(*sharded).returncode == 0
    before = (model.parent / shard).read_bytes()
    result = run_cli(*sharded, "--report", shard)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "another file" in result.stderr
    assert (model.parent / shard).read_bytes() == before


@pytest.mark.parametrize("report", ["one.safetensors", "m.safetensors.index.json", "hard", "soft"])
def test_force_replaces_no_file_of_the_source(
    run_cli: RunCli, write_model: WriteModel, report: str
) -> None:
    folder = write_model({"a.weight": np.ones((32, 64), np.float32)}).parent
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    index = folder / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a.weight": "one.safetensors"}}))
    (folder / "hard").hardlink_to(folder / "one.safetensors")
    (folder / "soft").symlink_to(index)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = run_cli("quantize", index, "out", "-f", "int8_rowwise", "--report", report, "--force")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "another file" in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_page_keeps_the_permissions_of_the_one_it_replaces(run_cli: RunCli, model: Path) -> None:
    page = model.parent / "page.html"
    page.touch(0o600)
    assert run_cli(*QUANTIZE, *REPORT, "--force").returncode == 0
    assert page.read_text().startswith("<!doctype html>")
    assert page.stat().st_mode & 0o777 == 0o600


def test_a_page_may_have_any_name(run_cli: RunCli, model: Path) -> None:
    long, loop = "\u91cd" * 83 + ".html", "loop"
    (model.parent / loop).symlink_to(loop)
    for name in (long, loop):
        result = run_cli(*QUANTIZE, "--report", name, "--force")
        assert (result.returncode, result.stderr) == (0, "")
        assert (model.parent / name).read_text().startswith("<!doctype html>")
    assert len(list(model.parent.iterdir())) == 4


def test_a_failed_job_leaves_no_page(run_cli: RunCli, write_model: WriteModel) -> None:
    path = write_model({"a.weight": np.full((32, 64), np.nan, np.float32)})
    assert run_cli(*QUANTIZE, *REPORT).returncode == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("old", [None, "old"])
def test_a_page_appears_whole_or_not_at_all(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "page.html"
    if old is not None:
        path.write_text(old)
    # A lone surrogate cannot be encoded: the write fails half way.
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half" * 100_000 + "\ud800")
    assert [each.read_text() for each in tmp_path.iterdir()] == ([] if old is None else [old])


def test_a_missing_jinja2_is_one_line_before_the_job(model: Path) -> None:
    program = (
        "import sys; sys.modules['jinja2'] = None; from quarrow.cli import main; "
        f"sys.argv = ['quarrow', *{[*QUANTIZE, *REPORT]!r}]; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=model.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "jinja2" in result.stderr
    assert 'pip install "quarrow[cli]"' in result.stderr
    assert list(model.parent.iterdir()) == [model]
