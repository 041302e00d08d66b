# SPDX-License-Identifier: Apache-2.0
"""int8, int4 and int2 files: what the engine makes in memory, as compressed-tensors wants it."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from checkpoints import as_array, raw_tensors
from numpy.typing import NDArray
from safetensors.numpy import save_file

# Rows and columns that fill no whole word, a convolution, rows longer than a tile, many tiles.
SHAPES = {
    "a": (33, 96),
    "b": (9, 144),
    "conv": (17, 16, 3, 3),
    "long": (10, 80_000),
    "big": (900, 400),
}
BITS = {"int8": 8, "int4": 4, "int2": 2}


def weights() -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(5)
    return {
        f"{name}.weight": random.normal(size=shape).astype("f") for name, shape in SHAPES.items()
    }


def words(codes: NDArray[np.integer[Any]], bits: int) -> bytes:
    """Pack unsigned codes along the last axis, the first in the lowest bits of its word."""
    per_word = 32 // bits
    padding = -codes.shape[-1] % per_word
    padded = np.pad(codes.astype(np.uint64), [(0, 0), (0, padding)])
    lanes = padded.reshape(len(codes), -1, per_word)
    packed = (lanes << (np.arange(per_word, dtype=np.uint64) * np.uint64(bits))).sum(-1)
    return bytes(packed.astype("<u4").tobytes())


@pytest.mark.parametrize(
    ("format_", "symmetric", "scale_dtype", "group_size"),
    list(itertools.product(BITS, [False, True], ["float32", "float16", "bfloat16"], [16, "row"])),
)
def test_entries_hold_what_the_engine_makes(
    format_: str,
    symmetric: bool,  # noqa: FBT001
    scale_dtype: str,
    group_size: Any,
    tmp_path: Path,
) -> None:
    w = weights()
    save_file(w, tmp_path / "in", metadata={"format": "pt"})
    fields = {"symmetric": symmetric, "scale_dtype": scale_dtype, "group_size": group_size}
    report = qr.quantize_file(tmp_path / "in", tmp_path / "out", format_, **fields)
    assert {layer.action for layer in report.layers} == {"quantized"}
    tensors, metadata = raw_tensors(tmp_path / "out")
    bits = BITS[format_]
    for name in SHAPES:
        q = qr.quantize(w[f"{name}.weight"], format_, packed=False, **fields)
        rows = len(q.codes)
        codes = q.codes.astype(np.int16) + (1 << (bits - 1) if symmetric else 0)
        dtype, shape, data = tensors.pop(f"{name}.weight_packed")
        assert (dtype, shape) == ("I32", (rows, -(-codes.shape[1] * bits // 32)))
        assert data == words(codes, bits), name
        stored = as_array(*tensors.pop(f"{name}.weight_scale")).astype(np.float32)
        np.testing.assert_array_equal(stored, q.scales.astype(np.float32))
        if not symmetric:
            dtype, shape, data = tensors.pop(f"{name}.weight_zero_point")
            assert (dtype, shape) == ("I32", (-(-rows * bits // 32), q.scales.shape[1]))
            down = np.frombuffer(words(q.zero_points.T, bits), "<u4")  # type: ignore[union-attr]
            expected = down.reshape(shape[1], shape[0]).T
            np.testing.assert_array_equal(np.frombuffer(data, "<u4").reshape(shape), expected)
        dtype, shape, data = tensors.pop(f"{name}.weight_shape")
        assert (dtype, shape) == ("I64", (2,))
        assert np.frombuffer(data, "<i8").tolist() == list(codes.shape)
    assert not tensors
    assert metadata["format"] == "pt"
    before = json.loads(metadata["quarrow.layers"])
    assert before["conv.weight"] == {"dtype": "F32", "shape": [17, 16, 3, 3]}
    (group,) = json.loads(metadata["quantization_config"])["config_groups"].values()
    assert sorted(group["targets"]) == sorted(SHAPES)


@pytest.mark.parametrize("shape", [(33, 16), (33, 4, 8), (33, 2, 2, 4), (33, 2, 2, 2, 2)], ids=str)
def test_every_number_of_dimensions_comes_back(shape: tuple[int, ...], tmp_path: Path) -> None:
    source = {"l.weight": np.random.default_rng(1).normal(size=shape).astype("f")}
    save_file(source, tmp_path / "in")
    rows = qr.Format("int4", group_size="row")
    rules = [("", rows)]  # small ones too
    qr.quantize_file(tmp_path / "in", tmp_path / "q", rows, rules=rules)
    qr.dequantize_file(tmp_path / "q", tmp_path / "out")
    with qr.open(tmp_path / "q") as quantized, qr.open(tmp_path / "out") as restored:
        assert isinstance(quantized["l.weight"], qr.QuantizedTensor)
        assert quantized["l.weight"].shape == restored["l.weight"].shape == shape
    in_memory = qr.dequantize_state_dict(qr.quantize_state_dict(source, rows, rules=rules))
    assert in_memory["l.weight"].shape == shape


def test_the_file_does_not_depend_on_threads(tmp_path: Path) -> None:
    save_file(weights(), tmp_path / "in")
    files = []
    for threads in (1, 2, 4):
        qr.quantize_file(tmp_path / "in", tmp_path / "out", "int4", group_size=16, threads=threads)
        files.append((tmp_path / "out").read_bytes())
    assert files[0] == files[1] == files[2]


def test_what_it_cannot_say_stays(tmp_path: Path) -> None:
    save_file(
        {
            "short.weight": np.ones((9, 200), "f"),
            "few.weight": np.ones((8, 256), "f"),
            "norm.weight": np.ones(256, "f"),
            "taken.weight": np.ones((9, 256), "f"),
            "taken.weight_shape": np.ones(1, "f"),
        },
        tmp_path / "in",
    )
    report = qr.quantize_file(tmp_path / "in", tmp_path / "out", "int4")
    reasons = {layer.name: layer.reason for layer in report.layers}
    assert "short" in str(reasons["short.weight"])
    assert "rows" in str(reasons["few.weight"])
    assert reasons["norm.weight"] == "fewer than two dimensions"
    assert "needs" in str(reasons["taken.weight"])
    again = qr.quantize_file(tmp_path / "out", tmp_path / "again", "int8", group_size="tensor")
    assert {layer.action for layer in again.layers} == {"kept"}


def test_a_configuration_of_no_layer_is_replaced(tmp_path: Path) -> None:
    save_file({"l.weight": np.ones((9, 256), "f")}, tmp_path / "in", {"quantization_config": "{}"})
    report = qr.quantize_file(tmp_path / "in", tmp_path / "out", "int4")
    assert [layer.action for layer in report.layers] == ["quantized"]
    assert json.loads(report.metadata["quantization_config"])["config_groups"]


def test_errors_are_those_of_the_layer_in_memory(tmp_path: Path) -> None:
    w = weights()
    save_file(w, tmp_path / "in")
    report = qr.quantize_file(
        tmp_path / "in", tmp_path / "out", "int4", group_size=16, measure_error=True
    )
    for layer in report.layers:
        expected = qr.quantize(w[layer.name], "int4", group_size=16).error(w[layer.name])
        assert layer.error is not None
        assert layer.error["max_abs"] == expected.max_abs
        assert layer.error["rmse"] == pytest.approx(expected.rmse, rel=1e-12)
