# SPDX-License-Identifier: Apache-2.0
"""Another kind of file, another dtype, other shards: nothing is quantized."""

from pathlib import Path
from typing import Any

import gguf
import gguf_oracle
import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from value_kinds import values_of

FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
LAYER = "double_blocks.0.img_attn.qkv.weight"
BIAS = "double_blocks.0.img_attn.qkv.bias"


def model(path: Path, dtype: Any = ml_dtypes.bfloat16) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {
        FLUX: np.ones(128).astype(dtype),
        LAYER: values_of("normal", (96, 256)).astype(dtype),
        BIAS: values_of("normal", (1, 96))[0].astype(dtype),
        "conv.weight": values_of("normal", (8, 32, 9)).reshape(8, 32, 3, 3).astype(dtype),
    }
    save_file(tensors, path, metadata={"modelspec.title": "small"})
    return tensors


def bits(array: NDArray[Any]) -> NDArray[Any]:
    return array.view(np.uint8)


def test_gguf_and_back(tmp_path: Path) -> None:
    source, there, back = (tmp_path / name for name in ("a.safetensors", "b.gguf", "c.safetensors"))
    tensors = model(source)
    report = qr.convert_file(source, there)
    # Loaders of GGUF take BF16 in matrices alone.
    assert {layer.name: layer.dtype_out for layer in report.layers} == {
        FLUX: "F32",
        LAYER: "BF16",
        BIAS: "F32",
        "conv.weight": "F32",
    }
    assert report.format is None
    assert report.warnings == []
    reader = gguf.GGUFReader(there)
    read = {tensor.name: tensor for tensor in reader.tensors}
    assert reader.fields["general.architecture"].contents() == "flux"
    np.testing.assert_array_equal(read[BIAS].data, tensors[BIAS].astype(np.float32))
    np.testing.assert_array_equal(read[LAYER].data.reshape(-1), bits(tensors[LAYER]).reshape(-1))
    qr.convert_file(there, back, dtype="bfloat16")
    for name, array in load_file(back).items():
        np.testing.assert_array_equal(bits(array), bits(tensors[name]), err_msg=name)


def test_the_same_kind_keeps_every_byte_of_quantized_layers(tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    model(source, np.float32)
    quantized, new = tmp_path / "int8.safetensors", tmp_path / "new.safetensors"
    qr.quantize_file(source, quantized, "int8_rowwise")
    report = qr.convert_file(quantized, new, dtype="float16")
    before, after = load_file(quantized), load_file(new)
    assert set(before) == set(after)
    for name in before:
        if name.startswith(LAYER[:-7] + "."):
            is_part = name != BIAS
            assert before[name].dtype == after[name].dtype or not is_part
    np.testing.assert_array_equal(before[LAYER], after[LAYER])
    assert after[FLUX].dtype == np.float16
    assert {layer.action for layer in report.layers} == {"kept", "converted"}
    blocks, again = tmp_path / "q4.gguf", tmp_path / "again.gguf"
    qr.quantize_file(source, blocks, "q4_1")
    assert {layer.action for layer in qr.convert_file(blocks, again).layers} == {"kept"}
    assert again.read_bytes() == blocks.read_bytes()


@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16"])
def test_blocks_become_floats_where_a_file_has_none(tmp_path: Path, dtype: str | None) -> None:
    source, blocks, new = (tmp_path / name for name in ("a.safetensors", "b.gguf", "c.safetensors"))
    model(source, np.float16)
    qr.quantize_file(source, blocks, "q8_0")
    report = qr.convert_file(blocks, new, dtype=dtype)
    assert "1 quantized layer is a float tensor now" in report.warnings[0]
    assert {layer.name: layer.action for layer in report.layers}[LAYER] == "restored"
    with qr.open(blocks) as opened:
        layer = opened[LAYER]
        assert isinstance(layer, qr.QuantizedTensor)
        expected = layer.dequantize(dtype or "float16")
    np.testing.assert_array_equal(bits(load_file(new)[LAYER]), bits(expected))


def test_what_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    path, new = tmp_path / "in.gguf", tmp_path / "new.safetensors"
    gguf_oracle.write(path, {LAYER: ("Q4_K", (4, 256))})
    with pytest.raises(qr.UnsupportedFormatError, match="safetensors files have no type Q4_K"):
        qr.convert_file(path, new)
    assert not new.exists()
    again = tmp_path / "again.gguf"
    assert {layer.action for layer in qr.convert_file(path, again).layers} == {"kept"}
    assert gguf.GGUFReader(again).tensors[0].tensor_type.name == "Q4_K"


def test_shards_become_one_file_and_one_file_shards(tmp_path: Path) -> None:
    source, index, one = tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "c.gguf"
    tensors = model(source, np.float16)
    report = qr.convert_file(source, index, max_shard_size=30_000)
    assert len(report.files) > 2
    joined = tmp_path / "joined.safetensors"
    qr.convert_file(report.files[-1], joined)
    for name, array in load_file(joined).items():
        np.testing.assert_array_equal(array, tensors[name])
    qr.convert_file(report.files[-1], one)
    assert {tensor.name for tensor in gguf.GGUFReader(one).tensors} == set(tensors)


def test_a_value_beyond_the_dtype_is_an_error(tmp_path: Path) -> None:
    source, new = tmp_path / "a.safetensors", tmp_path / "new.safetensors"
    large = np.ones((64, 2048), np.float32)
    large[40, 1000] = 65_520
    save_file({"l.weight": large}, source)
    with pytest.raises(qr.InvalidInputError, match=r"'l\.weight'.*row 40, column 1000"):
        qr.convert_file(source, new, dtype="float16")
    # The same where the value is decoded.
    quantized = tmp_path / "int8.safetensors"
    large[40, 1000] = 1e6
    save_file({"l.weight": large}, source)
    qr.quantize_file(source, quantized, "int8_rowwise", runtime="none")
    with pytest.raises(qr.InvalidInputError, match=r"'l\.weight'.*row 40, column 1000"):
        qr.dequantize_file(quantized, new, dtype="float16")
    assert not new.exists()


def test_a_dry_run_tells_the_sizes_and_writes_nothing(tmp_path: Path) -> None:
    source, new = tmp_path / "a.safetensors", tmp_path / "new.gguf"
    model(source)
    planned = qr.convert_file(source, new, dry_run=True)
    assert not new.exists()
    assert planned.bytes_out == qr.convert_file(source, new).bytes_out == new.stat().st_size
    assert "3 converted of 4 tensors" in repr(planned)


def test_progress_is_told_and_stops_the_job(tmp_path: Path) -> None:
    source, new = tmp_path / "a.safetensors", tmp_path / "new.safetensors"
    model(source)
    calls: list[tuple[int, int, str]] = []
    qr.convert_file(source, new, dtype="float32", progress=lambda *each: calls.append(each))
    assert calls[-1][0] == calls[-1][1] == sum(array.nbytes for array in load_file(source).values())
    new.unlink()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qr.convert_file(source, new, dtype="float32", progress=stop)
    assert not new.exists()
