# SPDX-License-Identifier: Apache-2.0
"""GGUF files that we write, as gguf-py reads them."""

from pathlib import Path
from typing import Any

import gguf_bytes as raw
import gguf_oracle
import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from safetensors.numpy import save_file

RANDOM = np.random.default_rng(1)
ARCHITECTURE = {"general.architecture": "flux"}
FLOATS: dict[str, Any] = {
    "blocks.0.attn.weight": RANDOM.normal(size=(32, 64)).astype(np.float16),
    "blocks.0.attn.bias": RANDOM.normal(size=32).astype(np.float32),
    "conv.weight": RANDOM.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "scale": np.float32(3),
    "none": np.zeros((0, 4), np.float32),
}


def test_a_copy_is_what_gguf_py_wrote(tmp_path: Path) -> None:
    source = gguf_oracle.write(
        tmp_path / "a.gguf",
        {**FLOATS, "q.weight": ("Q4_K", (6, 512)), "t.weight": ("IQ3_S", (2, 256))},
        a_number=("add_uint32", 7),
        a_list=["x", "\u00e9"],
        general_file_type=("add_uint32", 15),
    )
    out = tmp_path / "out.gguf"
    report = qr.dequantize_file(source, out)
    assert all(layer.action == "kept" for layer in report.layers)
    # Not even the padding differs.
    assert out.read_bytes() == source.read_bytes()
    assert report.bytes_out == out.stat().st_size


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_floats_are_converted_and_the_rest_is_kept(dtype: str, tmp_path: Path) -> None:
    source = gguf_oracle.write(
        tmp_path / "a.gguf",
        {**FLOATS, "wide": np.ones((2, 3)), "q.weight": ("Q6_K", (6, 256)), "ids": np.arange(3)},
        a_number=("add_uint32", 7),
        general_file_type=("add_uint32", 1),
    )
    before, keys = gguf_oracle.read(source)
    qr.dequantize_file(source, tmp_path / "out.gguf", dtype=dtype)
    after, keys_after = gguf_oracle.read(tmp_path / "out.gguf")
    assert list(after) == list(before)
    numpy_dtype = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    stored = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}[dtype]
    for name, (kind, shape, data) in after.items():
        if name in ("q.weight", "ids"):
            assert (kind, shape, data) == before[name]
            continue
        values = {**FLOATS, "wide": np.ones((2, 3))}[name]
        # gguf-py reads no scalar of a type that numpy lacks.
        assert (kind, shape) == (stored, values.shape or ((1,) if stored == "BF16" else ()))
        np.testing.assert_array_equal(
            np.frombuffer(data, numpy_dtype).reshape(shape), values.astype(numpy_dtype)
        )
    # Which type most tensors have is no longer what the file said.
    assert keys.pop("general.file_type") == 1
    assert keys_after == keys


def test_the_alignment_of_the_source_is_kept(tmp_path: Path) -> None:
    tensors = [raw.tensor("a", [3], 0, 0), raw.tensor("b", [1], 1, 256)]
    keys = [raw.key("general.alignment", raw.U32, 256)]
    source = tmp_path / "a.gguf"
    source.write_bytes(raw.gguf(keys, tensors, bytes(512), alignment=256))
    qr.dequantize_file(source, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").read_bytes() == source.read_bytes()
    qr.dequantize_file(source, tmp_path / "out.safetensors")
    assert qr.open(tmp_path / "out.safetensors").metadata == {}


@pytest.mark.parametrize("by", ["ending", "container"])
def test_tensors_of_a_program_are_saved(by: str, tmp_path: Path) -> None:
    out = tmp_path / ("new.gguf" if by == "ending" else "new")
    container = None if by == "ending" else "gguf"
    tensors = {**FLOATS, "b.weight": np.ones((2, 2), ml_dtypes.bfloat16)}
    metadata = {**ARCHITECTURE, "format": "pt", "author": "\u00e9"}
    report = qr.save(tensors, out, container, metadata=metadata)
    stored, keys = gguf_oracle.read(out)
    assert keys == {"general.architecture": "flux", "author": "\u00e9"}
    assert keys == report.metadata
    assert list(stored) == list(tensors)
    for name, (_, shape, data) in stored.items():
        assert (shape, data) == (tensors[name].shape, tensors[name].tobytes())
    assert out.stat().st_size % 32 == 0


def test_blocks_that_were_read_are_saved_as_they_were(tmp_path: Path) -> None:
    source = gguf_oracle.write(tmp_path / "a.gguf", {"q.weight": ("Q5_K", (6, 256))})
    with qr.open(source) as checkpoint:
        qr.save(dict(checkpoint), tmp_path / "out.gguf", metadata=ARCHITECTURE)
    assert gguf_oracle.read(tmp_path / "out.gguf")[0] == gguf_oracle.read(source)[0]


def test_safetensors_become_gguf_where_they_say_the_architecture(tmp_path: Path) -> None:
    source, out = tmp_path / "a.safetensors", tmp_path / "out.gguf"
    floats = {name: np.ascontiguousarray(value) for name, value in FLOATS.items()}
    save_file(floats, source, metadata=ARCHITECTURE)
    qr.dequantize_file(source, out)
    assert {name: each[2] for name, each in gguf_oracle.read(out)[0].items()} == {
        name: value.tobytes() for name, value in floats.items()
    }
    save_file(floats, source)
    with pytest.raises(qr.InvalidInputError, match=r"'general.architecture'.*quarrow\.save"):
        qr.dequantize_file(source, out)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("bool", "BOOL"), ("uint8", "U8"), ("float8_e4m3fn", "F8_E4M3"), ("complex64", "C64")],
)
def test_a_type_that_gguf_lacks_is_refused_with_the_tensor(
    dtype: str, kind: str, tmp_path: Path
) -> None:
    values = np.ones((2, 2)).astype(getattr(ml_dtypes, dtype, dtype))
    with pytest.raises(qr.UnsupportedFormatError, match=f"no type {kind}") as caught:
        qr.save({"good": np.ones(3), "bad": values}, tmp_path / "a.gguf", metadata=ARCHITECTURE)
    assert caught.value.name == "bad"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a\0b", "n" * 65_536])
def test_a_name_that_gguf_lacks_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(qr.InvalidInputError, match="no such names"):
        qr.save({name: np.ones(3)}, tmp_path / "a.gguf", metadata=ARCHITECTURE)


def test_formats_that_gguf_does_not_carry_are_refused(tmp_path: Path) -> None:
    weight = np.ones((8, 64), np.float32)
    with pytest.raises(qr.UnsupportedFormatError, match="gguf files can carry"):
        qr.save({"a": qr.quantize(weight, "int8")}, tmp_path / "a.gguf", metadata=ARCHITECTURE)
    source = gguf_oracle.write(tmp_path / "in.gguf", {"a.weight": weight})
    with pytest.raises(qr.UnsupportedFormatError, match="gguf files can carry"):
        qr.quantize_file(source, tmp_path / "a.gguf", "int8")
    assert not (tmp_path / "a.gguf").exists()


def test_a_gguf_checkpoint_is_one_file(tmp_path: Path) -> None:
    tensors = {f"t{index}": np.ones((8, 64), np.float32) for index in range(4)}
    source = gguf_oracle.write(tmp_path / "in.gguf", tensors)
    out = tmp_path / "out.gguf"
    with pytest.raises(qr.InvalidInputError, match="max_shard_size"):
        qr.dequantize_file(source, out, max_shard_size=4096)
    qr.dequantize_file(source, out, max_shard_size="1MB")
    report = qr.dequantize_file(source, tmp_path / "parts.safetensors", max_shard_size=4096)
    assert len(report.files) == 3
    with qr.open(report.files[-1]) as checkpoint:
        assert sorted(checkpoint) == sorted(tensors)


def test_a_file_is_not_written_onto_itself_and_appears_when_it_is_complete(tmp_path: Path) -> None:
    source = gguf_oracle.write(tmp_path / "in.gguf", {"a": np.array([1e6], np.float32)})
    with pytest.raises(qr.InvalidInputError, match="the source itself"):
        qr.dequantize_file(source, source)
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")
    with pytest.raises(qr.InvalidInputError):
        qr.dequantize_file(source, out, dtype="float16")
    assert out.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [source, out]


def test_quantized_layers_become_floats_in_gguf(tmp_path: Path) -> None:
    weight = FLOATS["blocks.0.attn.weight"]
    quantized = tmp_path / "int8.safetensors"
    qr.save({"a.weight": qr.quantize(weight, "int8_rowwise")}, quantized, metadata=ARCHITECTURE)
    qr.dequantize_file(quantized, tmp_path / "out.gguf")
    (kind, shape, data) = gguf_oracle.read(tmp_path / "out.gguf")[0]["a.weight"]
    assert (kind, shape) == ("F16", weight.shape)
    restored = np.frombuffer(data, np.float16).reshape(shape)
    np.testing.assert_allclose(restored, weight, atol=0.03)
