# SPDX-License-Identifier: Apache-2.0
"""Tensors of many dimensions: 64 are read everywhere; more are refused by name, and only copied."""

import ctypes
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from arrow_layers import quantize
from checkpoints import header_bytes, raw_tensors
from dlpack_producer import DlpackProducer
from numpy.typing import NDArray
from quarrow import _core

MOST = 64
TOO_MANY = [MOST + 1, 100, 128, 129, 500]
WORDS = r"layer 'a': the tensor has {} dimensions, and at most 64 can be read; reshape it"


def weights() -> NDArray[np.float32]:
    return np.linspace(-1, 1, 8 * 64, dtype=np.float32).reshape(8, 64)


def shape_of(dimensions: int) -> tuple[int, ...]:
    return (8, *[1] * (dimensions - 2), 64)


def build(shape: tuple[int, ...], **changed: Any) -> qr.QuantizedTensor:
    q = qr.quantize(weights(), "int4", group_size=32)
    parts = {"codes": q.codes, "scales": q.scales, "zero_points": q.zero_points, "name": "a"}
    return qr.QuantizedTensor(**{**parts, **changed}, format=q.format, shape=shape)


def test_the_most_dimensions_are_built_pickled_and_restored() -> None:
    q = build(shape_of(MOST))
    assert pickle.loads(pickle.dumps(q)) == q
    restored = q.dequantize()
    assert restored.shape == shape_of(MOST)
    assert qr.quantize(restored, "int4", group_size=32).shape == q.shape
    out = np.empty(q.shape, np.float16)
    assert q.dequantize("float16", out=out) is out
    assert q.error(weights().reshape(q.shape)).max_abs < 0.1


class Forged:
    """Pickles as a tensor of too many dimensions."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    def __reduce__(self) -> tuple[Any, ...]:
        function, arguments = build((8, 64)).__reduce__()
        return function, (*arguments[:2], self._shape, *arguments[3:])


def exported(dimensions: int, **options: Any) -> DlpackProducer:
    return DlpackProducer(weights(), shape_of(dimensions), **options)


def nested(dimensions: int) -> object:
    """Lay an array of C in others; their buffer has as many dimensions."""
    kind: Any = ctypes.c_float * 64
    for size in reversed(shape_of(dimensions)[:-1]):
        kind = kind * size
    return kind()


def through_arrow(dimensions: int) -> object:
    columns = {"layer_name": ["a"], "weights": [weights().ravel()], "shape": [shape_of(dimensions)]}
    return quantize(pa.table(columns), "int4").to_pyarrow()


WAYS: dict[str, Callable[[int], object]] = {
    "constructor": lambda n: build(shape_of(n)),
    "pickle": lambda n: pickle.loads(pickle.dumps(Forged(shape_of(n)))),
    "a buffer": lambda n: qr.quantize(nested(n), "int4", name="a"),
    "DLPack": lambda n: qr.quantize(exported(n), "int4", name="a"),
    "DLPack with versions": lambda n: qr.quantize(exported(n, version=(1, 0)), "int4", name="a"),
    "a batch": lambda n: qr.quantize_batch({"a": exported(n)}, "int4"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dimensions", TOO_MANY)
def test_more_are_refused_by_name(way: str, dimensions: int) -> None:
    assert WAYS[way](MOST)
    with pytest.raises(qr.InvalidInputError, match=WORDS.format(dimensions)) as caught:
        WAYS[way](dimensions)
    assert caught.value.name == "a"


@pytest.mark.parametrize("dimensions", TOO_MANY)
def test_shapes_of_arrow_are_refused_by_name(dimensions: int) -> None:
    assert through_arrow(MOST)
    with pytest.raises(
        qr.InvalidInputError,
        match=rf"layer 'a': column 'shape', row 0: the shape has {dimensions} dimensions, and at",
    ):
        through_arrow(dimensions)


def test_a_tensor_type_of_too_many_dimensions_is_refused() -> None:
    def table(dimensions: int) -> pa.Table:
        kind = pa.fixed_shape_tensor(pa.float32(), shape_of(dimensions))
        storage = pa.FixedSizeListArray.from_arrays(pa.array(weights().ravel()), 512)
        tensors = pa.ExtensionArray.from_storage(kind, storage)
        return pa.table({"layer_name": ["a"], "weights": tensors})

    assert quantize(table(MOST), "int4").to_pyarrow()["shape"].to_pylist() == [[*shape_of(MOST)]]
    with pytest.raises(qr.InvalidInputError, match=r"'weights': the shape has 65 dimensions"):
        quantize(table(MOST + 1), "int4")


# In files: such a tensor is listed and copied.


def packed_file(path: Path, dimensions: int) -> Path:
    """Write a layer of compressed-tensors whose shape before is ours to tell."""
    scheme = {
        "num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32
    }  # fmt: skip
    config = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {"g": {"targets": ["a"], "weights": scheme}},
    }
    before = {"a.weight": {"dtype": "F16", "shape": shape_of(dimensions)}}
    metadata = {"quantization_config": json.dumps(config), "quarrow.layers": json.dumps(before)}
    header = {
        "__metadata__": metadata,
        "a.weight_shape": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]},
        "a.weight_packed": {"dtype": "I32", "shape": [8, 8], "data_offsets": [16, 272]},
        "a.weight_scale": {"dtype": "F32", "shape": [8, 2], "data_offsets": [272, 336]},
    }
    path.write_bytes(header_bytes(header) + struct.pack("<2q", 8, 64) + b"\x11" * 320)
    return path


def plain_file(path: Path, dimensions: int, dtype: str = "F32") -> Path:
    shape = (*shape_of(dimensions)[:-1], {"F32": 64, "BF16": 128}[dtype])
    header = {"a.weight": {"dtype": dtype, "shape": shape, "data_offsets": [0, 2048]}}
    path.write_bytes(header_bytes(header) + weights().tobytes())
    return path


def refused(call: Callable[[], object], dimensions: int) -> None:
    with pytest.raises(
        qr.CheckpointError,
        match=rf"layer 'a\.weight': it has {dimensions} dimensions, and at most 64",
    ) as caught:
        call()
    assert (caught.value.name, caught.value.rule) == ("a.weight", "tensor_dimensions")


@pytest.mark.parametrize("dimensions", TOO_MANY)
@pytest.mark.parametrize("io", ["read", "mmap"])
def test_a_file_that_holds_a_layer_of_more_is_opened_listed_and_copied(
    dimensions: int, io: str, tmp_path: Path
) -> None:
    path = packed_file(tmp_path / "in.safetensors", dimensions)
    with qr.open(path, io=io) as checkpoint:
        assert checkpoint.info("a.weight").shape == shape_of(dimensions)
        refused(lambda: checkpoint["a.weight"], dimensions)
    out = tmp_path / "out.safetensors"
    refused(lambda: qr.dequantize_file(path, out, io=io), dimensions)
    assert not out.exists()
    report = qr.quantize_file(path, out, "int8_rowwise", io=io)
    assert {layer.action for layer in report.layers} == {"kept"}
    assert raw_tensors(out) == raw_tensors(path)


def test_a_state_dict_that_holds_a_layer_of_more_is_refused(tmp_path: Path) -> None:
    tensors, metadata = raw_tensors(packed_file(tmp_path / "in.safetensors", MOST + 1))
    numbers = {"I64": np.int64, "I32": np.int32, "F32": np.float32}
    entries = {
        name: np.frombuffer(data, numbers[dtype]).reshape(shape)
        for name, (dtype, shape, data) in tensors.items()
    }
    with pytest.raises(qr.CheckpointError, match=r"'a\.weight': it has 65 dimensions"):
        qr.dequantize_state_dict(entries, metadata=metadata)


@pytest.mark.parametrize("dimensions", TOO_MANY)
def test_a_file_that_holds_a_tensor_of_more_is_opened_listed_and_copied(
    dimensions: int, tmp_path: Path
) -> None:
    path = plain_file(tmp_path / "in.safetensors", dimensions)
    with qr.open(path) as checkpoint:
        tensor = checkpoint["a.weight"]
        assert isinstance(tensor, qr.CheckpointTensor)
        assert tensor.shape == shape_of(dimensions)
        reads: list[Callable[[], object]] = [
            tensor.numpy,
            lambda: np.asarray(tensor),
            tensor.__dlpack__,
            lambda: qr.quantize(tensor, "int4"),
            lambda: qr.quantize_batch({"x": tensor}, "int4"),
        ]
        for read in reads:
            refused(read, dimensions)
    out = tmp_path / "out.safetensors"
    refused(lambda: qr.quantize_file(path, out, "int4", dtype="float16"), dimensions)
    refused(lambda: qr.dequantize_file(path, out, dtype="float16"), dimensions)
    # The first would stay for its few rows, too.
    symmetric = qr.Format("int4", group_size=32, symmetric=True)
    for format_ in ("int4", "int8_rowwise", symmetric):
        report = qr.quantize_file(path, out, format_, rules=[("", format_)])
        assert report.layers[0].action == "kept"
        assert raw_tensors(out) == raw_tensors(path)
    assert report.layers[0].reason == "more than 64 dimensions"


def test_bfloat16_of_more_dimensions_is_refused_too(tmp_path: Path) -> None:
    """It takes another way to DLPack."""
    path = plain_file(tmp_path / "in.safetensors", MOST + 1, "BF16")
    with qr.open(path) as checkpoint:
        tensor = checkpoint["a.weight"]
        assert isinstance(tensor, qr.CheckpointTensor)
        refused(tensor.__dlpack__, MOST + 1)


def test_not_even_the_package_itself_can_make_an_array_of_more() -> None:
    """Nanobind would end the process."""
    data = np.zeros(2, np.uint8)
    assert _core.dlpack_array(data, data, 4, 16, [1] * MOST).__dlpack__()
    with pytest.raises(qr.InvalidInputError, match="too many dimensions"):
        _core.dlpack_array(data, data, 4, 16, [1] * (MOST + 1))


@pytest.mark.parametrize("dimensions", [33, MOST])
def test_a_file_of_the_most_dimensions_is_read(dimensions: int, tmp_path: Path) -> None:
    with qr.open(packed_file(tmp_path / "a.safetensors", dimensions)) as checkpoint:
        q = checkpoint["a.weight"]
        assert isinstance(q, qr.QuantizedTensor)
        assert q.dequantize().shape == shape_of(dimensions)
    with qr.open(plain_file(tmp_path / "b.safetensors", dimensions)) as checkpoint:
        tensor = checkpoint["a.weight"]
        assert isinstance(tensor, qr.CheckpointTensor)
        assert tensor.numpy().shape == shape_of(dimensions)
        assert qr.quantize(tensor, "int4").shape == shape_of(dimensions)
