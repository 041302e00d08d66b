# SPDX-License-Identifier: Apache-2.0
"""GGUF files that gguf-py wrote: listed, read, compared, and quantized into safetensors."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import gguf
import gguf_bytes as raw
import gguf_oracle
import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from checkpoints import raw_tensors

RANDOM = np.random.default_rng(1)
FLOATS: dict[str, Any] = {
    "blocks.0.attn.weight": RANDOM.normal(size=(32, 64)).astype(np.float16),
    "blocks.0.attn.bias": RANDOM.normal(size=32).astype(np.float32),
    "conv.weight": RANDOM.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "wide.weight": RANDOM.normal(size=(2, 3)),
    "ids": np.arange(5, dtype=np.int64),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return gguf_oracle.write(
        tmp_path / "model.gguf",
        {**FLOATS, "q.weight": ("Q4_K", (6, 512)), "m.weight": ("MXFP4", (3, 32))},
        general_name="\u00e9\n",
        general_file_type=("add_uint32", 1),
    )


@pytest.mark.parametrize("io", ["read", "mmap"])
def test_tensors_are_those_that_gguf_py_wrote(model: Path, io: str) -> None:
    expected, _ = gguf_oracle.read(model)
    with qr.open(model, io=io) as checkpoint:
        assert list(checkpoint) == list(expected)
        for name, (dtype, shape, data) in expected.items():
            info = checkpoint.info(name)
            assert (info.dtype, info.shape, info.nbytes) == (dtype, shape, len(data))
            assert info.format is None
            tensor: Any = checkpoint[name]
            assert tensor.stored_bytes().tobytes() == data
            values = tensor.numpy()
            if name in FLOATS:
                assert values.dtype == FLOATS[name].dtype
                np.testing.assert_array_equal(values, FLOATS[name])
            else:
                # Blocks that are not decoded come as the bytes that they are.
                assert values.dtype == np.uint8
                assert values.tobytes() == data


def test_bfloat16_is_read(tmp_path: Path) -> None:
    values = RANDOM.normal(size=(3, 4)).astype(ml_dtypes.bfloat16)
    stored = gguf.GGMLQuantizationType.BF16
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "flux")
    writer.add_tensor("a", values.view(np.uint8).reshape(3, 8), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with qr.open(tmp_path / "a.gguf") as checkpoint:
        tensor: Any = checkpoint["a"]
        np.testing.assert_array_equal(tensor.numpy(), values)


def test_every_type_of_gguf_py_is_listed_with_its_size(tmp_path: Path) -> None:
    tensors: dict[str, Any] = {
        kind.name: (kind.name, (2, 3, 256))
        for kind in gguf.GGMLQuantizationType
        if gguf.GGML_QUANT_SIZES[kind][0] > 1
    }
    path = gguf_oracle.write(tmp_path / "all.gguf", tensors)
    expected, _ = gguf_oracle.read(path)
    assert len(expected) == 26
    with qr.open(path) as checkpoint:
        for name, (_, shape, data) in expected.items():
            info = checkpoint.info(name)
            assert (info.dtype, info.shape, info.nbytes) == (name, shape, len(data))


def test_metadata_has_the_types_of_the_file(tmp_path: Path) -> None:
    path = gguf_oracle.write(
        tmp_path / "a.gguf",
        {},
        a_u8=("add_uint8", 255),
        a_i8=("add_int8", -128),
        a_u16=("add_uint16", 65535),
        a_i16=("add_int16", -1),
        a_u32=("add_uint32", 2**32 - 1),
        a_i32=("add_int32", -1),
        a_u64=("add_uint64", 2**64 - 1),
        a_i64=("add_int64", -(2**63)),
        a_f32=("add_float32", 0.5),
        a_f64=("add_float64", math.pi),
        a_bool=("add_bool", True),
        a_text="\u00e9",
        a_numbers=[1, -2],
        a_texts=["x", ""],
        a_bools=[True, False],
    )
    _, keys = gguf_oracle.read(path)
    metadata = qr.open(path).metadata
    assert metadata == keys
    assert metadata["general.architecture"] == "flux"
    assert isinstance(metadata["a.bool"], bool)
    assert isinstance(metadata["a.f32"], float)


def test_texts_that_are_no_utf8_are_shown_with_escapes(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(
        raw.gguf(
            [raw.key("a", raw.TEXT, b"\xff!"), raw.key("b", raw.LIST, raw.items(8, [b"\xfe"]))]
        )
    )
    assert qr.open(path).metadata == {"a": "\\xff!", "b": ["\\xfe"]}


def test_what_a_file_is_its_first_bytes_say(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.safetensors"
    model.rename(other)
    with qr.open(other) as checkpoint:
        assert len(checkpoint) == len(FLOATS) + 2


def test_five_dimensions_and_scalars_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    tensors = [raw.tensor("five", [2, 1, 1, 1, 3], 0, 0), raw.tensor("one", [], 0, 32)]
    path.write_bytes(raw.gguf([], tensors, struct.pack("<6f8xf", *range(7))))
    with qr.open(path) as checkpoint:
        five: Any = checkpoint["five"]
        assert five.shape == (3, 1, 1, 1, 2)
        np.testing.assert_array_equal(five.numpy().ravel(), np.arange(6, dtype=np.float32))
        one: Any = checkpoint["one"]
        assert one.shape == ()
        assert one.numpy() == 6


def test_floats_are_quantized_into_safetensors(model: Path, tmp_path: Path) -> None:
    floats = gguf_oracle.write(tmp_path / "floats.gguf", FLOATS, general_name="a name")
    out = tmp_path / "out.safetensors"
    report = qr.quantize_file(floats, out, "int8_rowwise")
    quantized = [layer.name for layer in report.layers if layer.action == "quantized"]
    assert quantized == ["blocks.0.attn.weight"]
    weight = FLOATS["blocks.0.attn.weight"]
    with qr.open(out) as checkpoint:
        assert checkpoint["blocks.0.attn.weight"] == qr.quantize(
            weight, "int8_rowwise", name="blocks.0.attn.weight"
        )
        # What the keys of the file say is kept, as texts.
        assert checkpoint.metadata["general.name"] == "a name"
        assert checkpoint.metadata["general.architecture"] == "flux"
        assert checkpoint.metadata["format"] == "pt"
    tensors, _ = raw_tensors(out)
    assert tensors["conv.weight"][2] == FLOATS["conv.weight"].tobytes()


def test_numbers_of_the_metadata_become_texts(tmp_path: Path) -> None:
    path = gguf_oracle.write(
        tmp_path / "a.gguf",
        {"a.weight": np.ones((4, 4), np.float32)},
        a_number=("add_uint32", 5),
        a_list=["x", "y"],
    )
    out = tmp_path / "out.safetensors"
    qr.dequantize_file(path, out, dtype="float16")
    _, metadata = raw_tensors(out)
    assert metadata["a.number"] == "5"
    assert json.loads(metadata["a.list"]) == ["x", "y"]


@pytest.mark.parametrize("job", ["quantize", "dequantize"])
def test_blocks_are_refused_where_they_cannot_be(model: Path, job: str, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    calls = {
        "quantize": lambda: qr.quantize_file(model, out, "int8_rowwise"),
        "dequantize": lambda: qr.dequantize_file(model, out),
    }
    words = "safetensors files have no type Q4_K; name the new file .gguf"
    with pytest.raises(qr.UnsupportedFormatError, match=words) as caught:
        calls[job]()
    assert caught.value.name == "q.weight"
    assert not out.exists()


def test_files_of_both_kinds_are_compared(tmp_path: Path) -> None:
    weight = FLOATS["blocks.0.attn.weight"]
    first = gguf_oracle.write(tmp_path / "a.gguf", {"a.weight": weight, "b": ("Q8_0", (2, 32))})
    second = tmp_path / "b.safetensors"
    qr.save({"a.weight": qr.quantize(weight, "int8_rowwise", name="a")}, second)
    with qr.open(first) as left, qr.open(second) as right:
        error = left.compare("a.weight", right)
        assert error is not None
        assert error.sqnr_db > 30
        assert left.compare("b", left) is None


def test_blocks_are_no_array_to_quantize(model: Path) -> None:
    with qr.open(model) as checkpoint, pytest.raises(qr.InvalidInputError):
        qr.quantize(checkpoint["q.weight"], "int8")


def test_a_state_dict_passes_blocks_on(model: Path) -> None:
    with qr.open(model) as checkpoint:
        result = qr.quantize_state_dict(dict(checkpoint), "int8_rowwise")
        assert result["q.weight"].dtype == "Q4_K"
        assert "blocks.0.attn.weight_scale" in result


def test_a_file_without_tensors_and_one_with_bytes_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(raw.gguf())
    assert len(qr.open(path)) == 0
    path.write_bytes(raw.gguf([], [raw.tensor("a", [1], 0, 0)], bytes(40)))
    report = qr.dequantize_file(path, tmp_path / "out.gguf")
    assert any("8 bytes that belong to none" in each for each in report.warnings)
    assert "8 bytes that belong to none" in caplog.text
    assert (tmp_path / "out.gguf").read_bytes() == path.read_bytes()[:-8]
