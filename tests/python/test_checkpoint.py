# SPDX-License-Identifier: Apache-2.0
"""quarrow.open, and the way back from a quantized file to a float one."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from checkpoints import header_bytes, make_checkpoint, raw_tensors
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

IO = ("read", "mmap")
# Rows that fill no word, one scale for several tiles, a convolution, several tiles.
SHAPES = {"odd": (37, 48), "long": (9, 90_000), "conv": (17, 16, 3, 3), "big": (900, 400)}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("int8_rowwise", {}),
    *(
        (name, {"symmetric": symmetric, "scale_dtype": scale_dtype, "group_size": group_size})
        for name, symmetric, scale_dtype, group_size in itertools.product(
            ("int8", "int4", "int2"), (False, True), ("float32", "bfloat16"), (16, "row")
        )
    ),
    ("int4", {"symmetric": True, "scale_dtype": "float16", "group_size": 16}),
]


def weights(dtype: str = "float32") -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(3)
    tensors = {f"{name}.weight": random.normal(size=shape) for name, shape in SHAPES.items()}
    return {name: value.astype(dtype) for name, value in tensors.items()} | {
        "odd.bias": np.arange(37, dtype=dtype),
        "ids": np.arange(6, dtype=np.int64).reshape(2, 3),
        "alpha": np.array(4, dtype=dtype),
        "none": np.zeros((0, 3), dtype=dtype),
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_file(weights(), tmp_path / "model.safetensors", {"format": "pt", "note": "kept"})
    return tmp_path / "model.safetensors"


def quantized(model: Path, format_: str, **fields: Any) -> Path:
    path = model.parent / "quantized.safetensors"
    qr.quantize_file(model, path, format_, sync=False, **fields)
    return path


@pytest.mark.parametrize("io", IO)
@pytest.mark.parametrize(("format_", "fields"), VARIANTS)
def test_a_layer_is_what_was_quantized_in_memory(
    format_: str, fields: dict[str, Any], io: str, model: Path
) -> None:
    w = weights()
    path = quantized(model, format_, **fields)
    with qr.open(path, io=io) as checkpoint:
        assert set(checkpoint) == set(w)
        for name, value in w.items():
            tensor = checkpoint[name]
            if isinstance(tensor, qr.QuantizedTensor):
                expected = qr.quantize(value, format_, name=name, **fields)
                assert tensor == expected
                assert (tensor.shape, tensor.dtype_name) == (value.shape, "float32")
                info = checkpoint.info(name)
                assert (info.shape, info.dtype, info.format) == (value.shape, "F32", tensor.format)
            else:
                np.testing.assert_array_equal(tensor.numpy(), value, strict=True)
        linear = {"odd.weight", "long.weight", "big.weight"}
        found = {name for name in w if checkpoint.info(name).format is not None}
        assert found == (linear if format_ == "int8_rowwise" else linear | {"conv.weight"})


@pytest.mark.parametrize("io", IO)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("format_", "fields"), VARIANTS)
def test_restored_files_hold_what_dequantize_gives(
    format_: str, fields: dict[str, Any], threads: int, io: str, model: Path
) -> None:
    path = quantized(model, format_, **fields)
    restored = model.parent / "restored.safetensors"
    for dtype, stored in ((None, "F32"), ("float16", "F16")):
        report = qr.dequantize_file(path, restored, dtype=dtype, threads=threads, io=io, sync=False)
        assert report.format is None
        assert report.bytes_out == restored.stat().st_size
        with qr.open(path) as before, qr.open(restored) as after:
            assert set(after) == set(weights())
            assert after.metadata == {"format": "pt", "note": "kept"}
            for name in before:
                layer, tensor = before[name], after[name]
                assert isinstance(tensor, qr.CheckpointTensor)
                if isinstance(layer, qr.QuantizedTensor):
                    expected = layer.dequantize(dtype or "float32")
                    np.testing.assert_array_equal(tensor.numpy(), expected, strict=True)
                    assert tensor.dtype == stored
                else:
                    wanted = layer.numpy()
                    if wanted.dtype == np.float32:
                        wanted = wanted.astype(dtype or "float32")
                    np.testing.assert_array_equal(tensor.numpy(), wanted, strict=True)


@pytest.mark.parametrize("format_", ["int8_rowwise", "int8"])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_dtype_before_comes_back(dtype: str, format_: str, tmp_path: Path) -> None:
    before = weights(dtype)
    save_file(before, tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "q", format_, sync=False)
    report = qr.dequantize_file(tmp_path / "q", tmp_path / "out", sync=False)
    restored = load_file(tmp_path / "out")
    layers = [layer for layer in report.layers if layer.action == "restored"]
    assert layers
    # The engine computes in 32 bits.
    computed = "float16" if dtype == "float16" else "float32"
    with qr.open(tmp_path / "q") as quantized:
        for layer in layers:
            q = quantized[layer.name]
            assert isinstance(q, qr.QuantizedTensor)
            spelling = {"float16": "F16", "float64": "F64"}[dtype]
            assert (layer.dtype, layer.dtype_out) == (spelling, spelling)
            values = q.dequantize(dtype=computed).astype(dtype)
            np.testing.assert_array_equal(restored[layer.name], values, strict=True)
    in_memory = qr.dequantize_state_dict(qr.quantize_state_dict(before, format_))
    assert set(in_memory) == set(restored)
    for name, value in restored.items():
        np.testing.assert_array_equal(in_memory[name], value, strict=True)
    qr.dequantize_file(tmp_path / "q", tmp_path / "single", dtype="float32", sync=False)
    assert load_file(tmp_path / "single")["big.weight"].dtype == np.float32


def test_a_real_lora_comes_back_with_its_names(tmp_path: Path) -> None:
    source = make_checkpoint("sd15_lora_kohya_r16", tmp_path / "in", "--limit-tensors", "60")
    qr.quantize_file(source, tmp_path / "q", "int8_rowwise", sync=False)
    qr.dequantize_file(tmp_path / "q", tmp_path / "out", sync=False)
    before, metadata = raw_tensors(source)
    after, metadata_after = raw_tensors(tmp_path / "out")
    assert metadata_after == metadata
    assert {name: each[:2] for name, each in after.items()} == {
        name: each[:2] for name, each in before.items()
    }


def test_nothing_is_read_before_it_is_asked_for(model: Path) -> None:
    with qr.open(model) as checkpoint:
        tensor = checkpoint["big.weight"]
        assert isinstance(tensor, qr.CheckpointTensor)
        assert (tensor.shape, tensor.dtype, tensor.nbytes) == ((900, 400), "F32", 1_440_000)
        with model.open("r+b") as file:
            file.truncate(model.stat().st_size - 4)
        with pytest.raises(qr.CheckpointError) as caught:
            checkpoint["odd.weight"].numpy()  # type: ignore[union-attr]
    assert caught.value.rule == "shrank"


def test_a_mapped_file_that_changed_is_refused(model: Path) -> None:
    with qr.open(model, io="mmap") as checkpoint:
        with model.open("r+b") as file:
            file.truncate(model.stat().st_size + 4)
        with pytest.raises(qr.CheckpointError) as caught:
            checkpoint["big.weight"].numpy()  # type: ignore[union-attr]
    assert caught.value.rule == "changed"


def test_mapped_arrays_are_views_whose_writes_change_no_file(model: Path) -> None:
    before = model.read_bytes()
    with qr.open(model, io="mmap") as checkpoint:
        tensor = checkpoint["big.weight"]
        assert isinstance(tensor, qr.CheckpointTensor)
        first, second = tensor.numpy(), tensor.numpy()
        assert np.shares_memory(first, second)
        first[:] = 7
    # They stay valid when the checkpoint is closed.
    assert float(second[-1, -1]) == 7
    assert model.read_bytes() == before


def test_a_closed_checkpoint_says_so(model: Path) -> None:
    with qr.open(model) as checkpoint:
        tensor = checkpoint["big.weight"]
    assert isinstance(tensor, qr.CheckpointTensor)
    for use in (tensor.numpy, lambda: checkpoint["big.weight"], lambda: checkpoint.info("ids")):
        with pytest.raises(qr.InvalidInputError, match="closed"):
            use()
    checkpoint.close()


@pytest.mark.parametrize("io", IO)
def test_tensors_go_straight_into_quantize(io: str, model: Path) -> None:
    with qr.open(model, io=io) as checkpoint:
        q = qr.quantize(checkpoint["big.weight"], "int4")
        np.testing.assert_array_equal(np.asarray(checkpoint["ids"]), weights()["ids"])
        np.testing.assert_array_equal(np.from_dlpack(checkpoint["ids"]), weights()["ids"])  # type: ignore[arg-type]
    assert q == qr.quantize(weights()["big.weight"], "int4")


def test_every_stored_dtype_can_be_read(tmp_path: Path) -> None:
    sizes = {"F4": 4, "F6_E2M3": 6, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "BOOL": 8}
    header: dict[str, Any] = {}
    data = b""
    for dtype, bits in sizes.items():
        size = 16 * bits // 8
        offsets = [len(data), len(data) + size]
        header[dtype] = {"dtype": dtype, "shape": [4, 4], "data_offsets": offsets}
        data += bytes(range(size)) if dtype != "BOOL" else bytes(16)
    (tmp_path / "in").write_bytes(header_bytes(header) + data)
    for io in IO:
        with qr.open(tmp_path / "in", io=io) as checkpoint:
            for dtype, bits in sizes.items():
                tensor = checkpoint[dtype]
                assert isinstance(tensor, qr.CheckpointTensor)
                values = tensor.numpy()
                assert values.tobytes() == data[slice(*header[dtype]["data_offsets"])]
                assert values.shape == ((4, 4) if bits >= 8 else (16 * bits // 8,))
            with pytest.raises(qr.InvalidInputError, match="F4"):
                checkpoint["F4"].__dlpack__()  # type: ignore[union-attr]


def test_what_open_refuses(model: Path, tmp_path: Path) -> None:
    with pytest.raises(qr.InvalidInputError, match="'read' or 'mmap'"):
        qr.open(model, io="direct")
    with pytest.raises(FileNotFoundError):
        qr.open(tmp_path / "absent")
    with pytest.raises(qr.CheckpointError):
        qr.open(tmp_path)
    with qr.open(model) as checkpoint:
        with pytest.raises(KeyError):
            checkpoint["absent"]
        assert "absent" not in checkpoint
        assert repr(checkpoint).endswith(f"8 tensors, {model.stat().st_size} bytes>")
        assert repr(checkpoint["ids"]) == "<CheckpointTensor 'ids': I64, shape (2, 3)>"


def test_two_dequantized_files_are_identical(model: Path, tmp_path: Path) -> None:
    path = quantized(model, "int4", group_size=16)
    for name in ("a", "b"):
        qr.dequantize_file(path, tmp_path / name, sync=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    # A float file is copied.
    qr.dequantize_file(tmp_path / "a", tmp_path / "c", sync=False)
    assert raw_tensors(tmp_path / "c") == raw_tensors(tmp_path / "a")


def test_a_dry_run_writes_nothing(model: Path, tmp_path: Path) -> None:
    plan = qr.quantize_file(model, tmp_path / "q", "int8", dry_run=True)
    assert plan.dry_run
    assert not (tmp_path / "q").exists()
    done = qr.quantize_file(model, tmp_path / "q", "int8", sync=False)
    assert (plan.bytes_out, list(plan.layers)) == (done.bytes_out, list(done.layers))
    plan = qr.dequantize_file(tmp_path / "q", tmp_path / "r", dry_run=True)
    assert not (tmp_path / "r").exists()
    done = qr.dequantize_file(tmp_path / "q", tmp_path / "r", sync=False)
    assert (plan.bytes_out, list(plan.layers)) == (done.bytes_out, list(done.layers))


def test_a_report_keeps_no_file_open(model: Path, tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no /proc to count descriptors in")
    before = len(list(descriptors.iterdir()))
    reports = [qr.quantize_file(model, tmp_path / "q", "int8", io=io, sync=False) for io in IO] + [
        qr.dequantize_file(tmp_path / "q", tmp_path / "r", io=io, sync=False) for io in IO
    ]
    assert len(list(descriptors.iterdir())) == before
    assert {layer.name for report in reports for layer in report.layers} == set(weights())
