# SPDX-License-Identifier: Apache-2.0
"""Files that are damaged, hostile or something else: the typed error, and its words.

Each rule of the reader has its own test in tests/cpp/containers; here is what Python makes of them.
"""

import pickle
import re
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from checkpoints import header_bytes, raw_tensors, write_zeros
from safetensors.numpy import save_file

FORMAT = "int8_rowwise"
REMEDY = re.compile("again|convert it|git lfs pull|download|name a|name the|can read|can be read")


def error_of(path: Path) -> qr.CheckpointError:
    out = path.with_name("out.safetensors")
    with pytest.raises(qr.CheckpointError) as caught:
        qr.quantize_file(path, out, FORMAT)
    assert list(path.parent.glob(".*")) == []
    assert not out.exists()
    assert str(caught.value).startswith(f"{str(path)!r}: ")
    assert caught.value.file == str(path)
    assert REMEDY.search(str(caught.value))
    return caught.value


FOREIGN = {
    "empty_file": (b"", "download"),
    "lfs_pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "html": (b"<!DOCTYPE html><title>404</title>", "web page"),
    "pickle": (pickle.dumps({"a": 1}, protocol=2), "convert it"),
    "zip": (b"PK\x03\x04" + bytes(60), "convert it"),
    "zeros": (bytes(1000), "download"),
    "json": (b'{"metadata": {}, "weight_map": {}}', "index"),
}


@pytest.mark.parametrize("rule", FOREIGN)
def test_foreign_files_are_named_with_a_remedy(rule: str, tmp_path: Path) -> None:
    content, remedy = FOREIGN[rule]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    error = error_of(path)
    assert error.rule == rule
    assert remedy in str(error)


def test_a_folder_and_a_device(tmp_path: Path) -> None:
    for path, rule in ((tmp_path, "folder"), (Path("/dev/zero"), "device")):
        with pytest.raises(qr.CheckpointError) as caught:
            qr.quantize_file(path, tmp_path / "out", FORMAT)
        assert caught.value.rule == rule


def entry(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


DAMAGED: dict[str, tuple[dict[str, Any], int]] = {
    "unknown_dtype": ({"l\n": entry("Q5_X")}, 4),
    "shape_overflow": ({"l\n": entry(shape=(2**40, 2**40, 0), offsets=(0, 0))}, 0),
    "partial_byte": ({"l\n": entry("F4", (3,), (0, 2))}, 2),
    "offsets_reversed": ({"l\n": entry(offsets=(4, 0))}, 4),
    "offsets_past_end": ({"l\n": entry(shape=(2,), offsets=(0, 8))}, 4),
    "size_mismatch": ({"l\n": entry(shape=(2,))}, 4),
    "overlap": ({"a": entry(), "l\n": entry()}, 4),
    "hole": ({"l\n": entry(offsets=(4, 8))}, 8),
    "field_type": ({"l\n": entry(shape=(-1,))}, 4),
    "missing_field": ({"l\n": {"dtype": "F32"}}, 4),
    "entry_not_object": ({"l\n": 5}, 4),
}


@pytest.mark.parametrize("rule", DAMAGED)
def test_damage_names_rule_layer_and_place(rule: str, tmp_path: Path) -> None:
    header, size = DAMAGED[rule]
    path = tmp_path / "model.safetensors"
    path.write_bytes(header_bytes(header) + bytes(size))
    error = error_of(path)
    assert (error.rule, error.name) == (rule, "l\n")
    assert "layer 'l\\n': " in str(error)
    assert "\n" not in str(error)
    assert error.position is not None
    assert f"(at byte {error.position})" in str(error)
    assert pickle.loads(pickle.dumps(error)) == error


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"\x01\x02", "length_truncated"),
        (struct.pack("<Q", 0) + b"{}", "header_empty"),
        (struct.pack("<Q", 2**63) + b"xx", "header_too_large"),
        (struct.pack("<Q", 50) + b"{}", "header_past_end"),
        (struct.pack("<Q", 3) + b" {}", "header_start"),
        (struct.pack("<Q", 4) + b"{}\0\0", "header_nul"),
        (struct.pack("<Q", 3) + b"{]}", "invalid_json"),
        (struct.pack("<Q", 7) + b'{"\xff":1}', "invalid_utf8"),
        (struct.pack("<Q", 18) + b'{"__metadata__":1}', "metadata_not_strings"),
        (struct.pack("<Q", 3) + b"{} trailing", "trailing_bytes"),
    ],
)
def test_damage_of_the_whole_file(content: bytes, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    error = error_of(path)
    assert (error.rule, error.name) == (rule, None)


CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "safetensors"


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_the_corpus_of_the_fuzzer(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((CORPUS / name).read_bytes())
    expected = name.split("-", maxsplit=1)[0]
    if expected.startswith("layer_"):
        with pytest.raises(qr.CheckpointError) as caught:
            qr.open(path)
        assert caught.value.rule == expected
        with pytest.raises(qr.CheckpointError):
            qr.dequantize_file(path, tmp_path / "out")
        with pytest.raises(qr.CheckpointError):
            qr.convert_file(path, tmp_path / "out")
        with pytest.raises(qr.CheckpointError):
            qr.quantize_file(path, tmp_path / "out", FORMAT)
        assert sorted(tmp_path.iterdir()) == [path]
        return
    if expected == "tensor_dimensions":
        # It can be listed and copied.
        with pytest.raises(qr.CheckpointError) as caught:
            qr.dequantize_file(path, tmp_path / "out")
        assert caught.value.rule == expected
    elif expected != "valid":
        assert error_of(path).rule == expected
        return
    else:
        assert len(qr.open(path)) >= 0
    report = qr.quantize_file(path, tmp_path / "out", FORMAT, nonfinite="saturate", sync=False)
    (before, metadata), (after, metadata_after) = raw_tensors(path), raw_tensors(tmp_path / "out")
    assert metadata_after == metadata
    for layer in report.layers:
        assert layer.is_quantized or after[layer.name] == before[layer.name]


@pytest.mark.slow
def test_more_dimensions_or_keys_than_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(header_bytes({"l\n": entry("U8", [1] * ((1 << 22) + 1), (0, 1))}) + b"1")
    assert error_of(path).rule == "too_many_dimensions"
    path.write_bytes(header_bytes({"__metadata__": {str(key): "" for key in range(1_100_000)}}))
    assert error_of(path).rule == "too_many_keys"


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a.weight": np.ones((2, 3), np.float32), "b": np.ones(2, np.int8)}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        error_of(path)


def test_random_damage_never_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a.weight": np.ones((4, 3), np.float32), "b": np.ones(2, np.int8)}, path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    header_end = 8 + int.from_bytes(whole[:8].tobytes(), "little")
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(500):
        damaged = whole.copy()
        places = random.integers(0, header_end, random.integers(1, 4))
        damaged[places] = random.integers(0, 256, places.size)
        path.write_bytes(damaged.tobytes())
        try:
            qr.quantize_file(path, tmp_path / "out", FORMAT, sync=False)
        except qr.CheckpointError:
            refused += 1
    assert refused > 250


@pytest.mark.slow
def test_a_hundred_thousand_tensors(tmp_path: Path) -> None:
    tensors = {f"blocks.{index}.weight": ("F16", (2, 2), 8) for index in range(100_000)}
    source = write_zeros(tmp_path / "in", tensors)
    start = time.perf_counter()
    report = qr.quantize_file(source, tmp_path / "out", FORMAT, rules=[("", FORMAT)], sync=False)
    print(f"100,000 tensors: {time.perf_counter() - start:.2f} s")
    assert len(report.layers) == 100_000
    assert report.layers[99_999].action == "quantized"
