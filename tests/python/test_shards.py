# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in several files: read through their index, written with one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from safetensors.numpy import load_file, save_file

FORMAT = "int8_rowwise"
INDEX = "model.safetensors.index.json"
Change = Callable[[dict[str, Any], Path], None]


def tensors() -> dict[str, Any]:
    random = np.random.default_rng(8)
    return {f"l{i}.weight": random.normal(size=(40, 64)).astype("f2") for i in range(5)} | {
        "l0.bias": np.ones(40, "f2"),
        "none": np.zeros((0, 2), "f4"),
    }


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Write a checkpoint in two files; return the path of the index."""
    every = tensors()
    parts = {"a.safetensors": ["l0.weight", "l1.weight", "none"]}
    parts["b.safetensors"] = [name for name in every if name not in parts["a.safetensors"]]
    weight_map: dict[str, str] = {}
    for file, names in parts.items():
        save_file({name: every[name] for name in names}, tmp_path / file, {"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": "not a size"}, "weight_map": weight_map}
    (tmp_path / INDEX).write_text(json.dumps(index))
    return tmp_path / INDEX


@pytest.mark.parametrize("io", ["read", "mmap"])
def test_shards_are_one_checkpoint(sharded: Path, io: str, tmp_path: Path) -> None:
    with qr.open(sharded, io=io) as checkpoint:
        assert set(checkpoint) == set(tensors())
        assert checkpoint.metadata == {"format": "pt"}
        assert [Path(file).name for file in checkpoint.files] == ["a.safetensors", "b.safetensors"]
        assert checkpoint.info("l4.weight").file == str(tmp_path / "b.safetensors")
        for name, value in tensors().items():
            np.testing.assert_array_equal(np.asarray(checkpoint[name]), value, strict=True)
    report = qr.quantize_file(sharded, tmp_path / "one", FORMAT, io=io, sync=False)
    files = [tmp_path / f"{part}.safetensors" for part in "ab"]
    assert report.bytes_in == sum(file.stat().st_size for file in files)
    save_file(tensors(), tmp_path / "whole", {"format": "pt"})
    qr.quantize_file(tmp_path / "whole", tmp_path / "two", FORMAT, sync=False)
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    assert set(one) == set(two)
    for name, value in two.items():
        np.testing.assert_array_equal(one[name], value, strict=True)


@pytest.mark.parametrize("format_", [FORMAT, "int4"])
@pytest.mark.parametrize("size", [1, 6_000, "2kB"])
def test_shards_are_written_with_an_index(
    sharded: Path, format_: str, size: int | str, tmp_path: Path
) -> None:
    out = tmp_path / "new.safetensors"
    fields: dict[str, Any] = {"group_size": "row"} if format_ == "int4" else {}
    report = qr.quantize_file(sharded, out, format_, max_shard_size=size, sync=False, **fields)
    names = [Path(file).name for file in report.files]
    count = len(names) - 1
    assert names == [
        *(f"new-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)),
        "new.safetensors.index.json",
    ]
    assert count > 1
    assert report.bytes_out == sum(Path(file).stat().st_size for file in report.files[:-1])
    index = json.loads(Path(report.files[-1]).read_text())
    sizes = []
    for name in names[:-1]:
        part = load_file(tmp_path / name)
        assert {key for key, file in index["weight_map"].items() if file == name} == set(part)
        sizes.append(sum(value.nbytes for value in part.values()))
    assert index["metadata"]["total_size"] == sum(sizes)
    if size == 6_000:
        assert max(sizes) <= size
    qr.dequantize_file(report.files[-1], tmp_path / "restored", sync=False)
    qr.quantize_file(sharded, tmp_path / "q", format_, sync=False, **fields)
    qr.dequantize_file(tmp_path / "q", tmp_path / "restored too", sync=False)
    one, two = load_file(tmp_path / "restored"), load_file(tmp_path / "restored too")
    assert set(one) == set(two) == set(tensors())
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], strict=True)


@pytest.mark.parametrize("size", [None, 6_000])
def test_a_relative_destination_is_that_of_the_call_wherever_the_program_goes(
    sharded: Path, size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    went = []

    def go(*_: object) -> None:
        os.chdir(elsewhere)
        went.append(True)

    report = qr.quantize_file(
        sharded, "new.safetensors", FORMAT, max_shard_size=size, progress=go, sync=True
    )
    assert went
    assert list(elsewhere.iterdir()) == []
    assert {path.name for path in here.iterdir()} == {Path(file).name for file in report.files}
    with qr.open(here / Path(report.files[-1]).name) as checkpoint:
        assert set(tensors()) <= set(checkpoint)


def test_what_fits_is_one_file(sharded: Path, tmp_path: Path) -> None:
    report = qr.quantize_file(sharded, tmp_path / "one", FORMAT, max_shard_size="1GB", sync=False)
    assert report.files == [str(tmp_path / "one")]


@pytest.mark.parametrize("size", [0, -1, 1.5, "", "5 apples", "GB", True, 2**63, "9" * 400 + "TB"])
def test_sizes_that_are_none(sharded: Path, size: Any, tmp_path: Path) -> None:
    with pytest.raises(qr.InvalidInputError, match="max_shard_size"):
        qr.quantize_file(sharded, tmp_path / "out", FORMAT, max_shard_size=size)


def _edit(**entries: Any) -> Change:
    def change(index: dict[str, Any], _folder: Path) -> None:
        index["weight_map"].update(entries)

    return change


def _misplace(index: dict[str, Any], _folder: Path) -> None:
    index["weight_map"]["l0.weight"] = "b.safetensors"


def _lose(_index: dict[str, Any], folder: Path) -> None:
    (folder / "b.safetensors").unlink()


def _cut(_index: dict[str, Any], folder: Path) -> None:
    os.truncate(folder / "b.safetensors", 100)


def _drop_map(index: dict[str, Any], _folder: Path) -> None:
    del index["weight_map"]


def _contradict(_index: dict[str, Any], folder: Path) -> None:
    for part in "ab":
        path = folder / f"{part}.safetensors"
        save_file(load_file(path), path, {"quantization_config": part})


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("tensor_missing", _edit(**{"more.weight": "a.safetensors"})),
        ("tensor_missing", _misplace),
        ("shard_missing", _lose),
        ("header_past_end", _cut),
        ("shard_missing", _edit(x="absent.safetensors")),
        ("shard_name", _edit(x="../b.safetensors")),
        ("shard_name", _edit(x="/etc/passwd")),
        ("shard_name", _edit(x="..")),
        ("shard_name", _edit(x=".")),
        ("shard_name", _edit(x="")),
        ("shard_name", _edit(x="a.safetensors\0")),
        ("index_map", _edit(x=3)),
        ("index_map", _edit(x=None)),
        ("index_map", _edit(x=["a.safetensors"])),
        ("index_map", _edit(x={"file": "a.safetensors"})),
        ("index_map", _drop_map),
        ("metadata_conflict", _contradict),
    ],
)
def test_shards_that_lie(rule: str, change: Change, sharded: Path, tmp_path: Path) -> None:
    index = json.loads(sharded.read_text())
    change(index, tmp_path)
    sharded.write_text(json.dumps(index))
    before = sorted(tmp_path.iterdir())
    for use in (
        lambda: qr.open(sharded),
        lambda: qr.quantize_file(sharded, tmp_path / "out", FORMAT),
        lambda: qr.dequantize_file(sharded, tmp_path / "out"),
    ):
        with pytest.raises(qr.CheckpointError) as caught:
            use()
        assert caught.value.rule == rule
        assert str(tmp_path) in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def _rewrite(sharded: Path, part: str, tensors: dict[str, Any], **metadata: str) -> None:
    path = sharded.parent / f"{part}.safetensors"
    save_file(load_file(path) | tensors, path, metadata)


def test_the_index_decides_which_copy_counts(sharded: Path, tmp_path: Path) -> None:
    stale = np.full((40, 64), 7, "f2")
    _rewrite(sharded, "b", {"l0.weight": stale, "beside.weight": stale}, format="pt")
    with qr.open(sharded) as checkpoint:
        assert set(checkpoint) == set(tensors())
        np.testing.assert_array_equal(np.asarray(checkpoint["l0.weight"]), tensors()["l0.weight"])
    report = qr.quantize_file(sharded, tmp_path / "out", FORMAT, sync=False)
    assert "the index does not name 2 tensors of its files" in "".join(report.warnings)
    assert "beside.weight" not in load_file(tmp_path / "out")
    # And the other way round: an overlay beside a base whose copy is stale.
    index = json.loads(sharded.read_text())
    index["weight_map"]["l0.weight"] = "b.safetensors"
    sharded.write_text(json.dumps(index))
    with qr.open(sharded) as checkpoint:
        np.testing.assert_array_equal(np.asarray(checkpoint["l0.weight"]), stale)


def test_what_shards_say_of_themselves_is_not_said_of_the_whole(
    sharded: Path, tmp_path: Path
) -> None:
    """As in shards by torch.distributed.checkpoint."""
    for part in "ab":
        _rewrite(sharded, part, {}, format="pt", DCP_SHARDING_INFO=part)
    with qr.open(sharded) as checkpoint:
        assert checkpoint.metadata == {"format": "pt"}
    report = qr.quantize_file(sharded, tmp_path / "out", FORMAT, sync=False)
    assert report.metadata == {"format": "pt"}
    assert "'DCP_SHARDING_INFO'" in "".join(report.warnings)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("empty_file", ""),
        ("invalid_json", "{"),
        ("invalid_json", '{"weight_map": {"a": "a.safetensors"}} x'),
        ("index_map", "[]"),
        ("index_map", '{"weight_map": []}'),
        ("index_map", '{"weight_map": "a"}'),
        ("duplicate_key", '{"weight_map": {"a": "a.safetensors", "a": "a.safetensors"}}'),
        ("duplicate_key", '{"weight_map": {}, "weight_map": {}}'),
        ("too_deep", '{"metadata": ' + "[" * 100_000 + "]" * 100_000 + ', "weight_map": {}}'),
        ("too_deep", '{"m": ' + '{"a":' * 100 + "1" + "}" * 100 + ', "weight_map": {}}'),
        ("html", "<html>"),
        ("lfs_pointer", "version https://git-lfs.github.com/spec/v1\n"),
    ],
)
def test_an_index_that_is_none(rule: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / INDEX
    path.write_text(text)
    with pytest.raises(qr.CheckpointError) as caught:
        qr.open(path)
    assert caught.value.rule == rule
    path.write_bytes(b'{"weight_map": {"\xff": "a"}}')
    with pytest.raises(qr.CheckpointError) as caught:
        qr.open(path)
    assert caught.value.rule == "invalid_utf8"


@pytest.mark.parametrize("size", ["-1", "1.5", "1e400", "9" * 400, "null", "[]"])
def test_the_size_that_an_index_tells_is_ignored(size: str, sharded: Path) -> None:
    text = sharded.read_text().replace('"not a size"', size)
    assert size in text
    sharded.write_text(text)
    assert len(qr.open(sharded)) == len(tensors())


def test_an_index_without_shards_is_an_empty_checkpoint(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text('{"weight_map": {}}')
    with qr.open(tmp_path / INDEX) as checkpoint:
        assert (len(checkpoint), checkpoint.nbytes) == (0, 0)
    qr.quantize_file(tmp_path / INDEX, tmp_path / "out", FORMAT)
    assert load_file(tmp_path / "out") == {}


def test_a_shard_may_be_a_link(sharded: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "b.safetensors").rename(tmp_path / "blobs" / "0a1b")
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "blobs" / "0a1b")
    assert len(qr.open(sharded)) == len(tensors())


def test_an_unreadable_shard_is_an_os_error(sharded: Path, tmp_path: Path) -> None:
    for path in (tmp_path, sharded, tmp_path / "a.safetensors"):
        path.chmod(0o755)
    (tmp_path / "b.safetensors").chmod(0)
    # Root may read everything, so there the job runs as nobody.
    script = """
import os, sys
import quarrow as qr
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    qr.open(sys.argv[1])
except PermissionError as error:
    print(error.filename)
"""
    result = subprocess.run(
        [sys.executable, "-c", script, sharded.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "./b.safetensors\n"


@pytest.mark.parametrize("name", ["a.safetensors", "b.safetensors"])
def test_no_shard_is_the_destination(sharded: Path, name: str, tmp_path: Path) -> None:
    before = (tmp_path / name).read_bytes()
    with pytest.raises(qr.InvalidInputError, match="source"):
        qr.quantize_file(sharded, tmp_path / name, FORMAT)
    # Nor a file that would be written beside it.
    names = {
        f"{part}.safetensors": f"m-0000{number}-of-00002.safetensors"
        for part, number in (("a", 1), ("b", 2))
    }
    for old, new in names.items():
        (tmp_path / old).rename(tmp_path / new)
    index = json.loads(sharded.read_text())
    for key, file in index["weight_map"].items():
        index["weight_map"][key] = names[file]
    sharded.write_text(json.dumps(index))
    with pytest.raises(qr.InvalidInputError, match="source"):
        qr.quantize_file(sharded, tmp_path / "m.safetensors", FORMAT, max_shard_size=9_000)
    assert (tmp_path / names[name]).read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def spellings(path: Path) -> list[Path]:
    """Return other names of a file: links of both kinds, and a way round."""
    folder = path.parent / "beside"
    folder.mkdir()
    (folder / "soft").symlink_to(path)
    (folder / "hard").hardlink_to(path)
    return [path, folder / "soft", folder / "hard", folder / ".." / path.name]


@pytest.mark.parametrize("name", [INDEX, "a.safetensors"])
def test_no_file_of_the_source_is_the_destination_however_it_is_spelt(
    sharded: Path, name: str, tmp_path: Path
) -> None:
    destinations = spellings(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for destination in destinations:
        for shard_size in (None, 6_000):
            with pytest.raises(qr.InvalidInputError, match="source"):
                qr.quantize_file(sharded, destination, FORMAT, max_shard_size=shard_size)
            with pytest.raises(qr.InvalidInputError, match="source"):
                qr.dequantize_file(sharded, destination, max_shard_size=shard_size)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert len(list((tmp_path / "beside").iterdir())) == 2


def test_no_new_index_takes_the_place_of_that_of_the_source(sharded: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(qr.InvalidInputError, match="source"):
        qr.quantize_file(sharded, tmp_path / "model.safetensors", FORMAT, max_shard_size=6_000)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    # One file beside it has no index.
    qr.quantize_file(sharded, tmp_path / "model.safetensors", FORMAT)
    assert sharded.read_bytes() == before[sharded]


def test_a_failed_job_leaves_the_old_shards(sharded: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.safetensors"
    report = qr.quantize_file(sharded, out, FORMAT, max_shard_size=6_000, sync=False)
    before = {file: Path(file).read_bytes() for file in report.files}

    def stop(_done: int, _total: int, _name: str) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        qr.quantize_file(sharded, out, FORMAT, max_shard_size=6_000, progress=stop)
    assert {file: Path(file).read_bytes() for file in report.files} == before
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
