# SPDX-License-Identifier: Apache-2.0
"""The way back: batches of tensors, and results of the caller's own kind."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from batch_layers import some_layers, weights


class OtherArray:
    """An array of a library that speaks the array API: what it holds is numpy's."""

    def __init__(self, values: Any) -> None:
        self.values = values

    @property
    def dtype(self) -> Any:
        return self.values.dtype

    @staticmethod
    def __array_namespace__() -> Any:
        return OtherNamespace


class OtherNamespace:
    @staticmethod
    def from_dlpack(exported: Any) -> OtherArray:
        if isinstance(exported, np.ndarray):
            return OtherArray(np.from_dlpack(exported))
        # numpy takes no bfloat16 through DLPack: this one only looks at the capsule.
        assert type(exported.__dlpack__()).__name__ == "PyCapsule"
        return OtherArray(np.zeros(1, ml_dtypes.bfloat16))

    @staticmethod
    def astype(array: OtherArray, dtype: Any) -> OtherArray:
        return OtherArray(array.values.astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_has_the_values_of_each_tensor(dtype: str, threads: int) -> None:
    layers = some_layers(7)
    rules = [("layer.2", "int8"), ("layer.3", "int8_rowwise")]
    result = qr.quantize_batch(layers, "int4", rules=rules)
    restored = qr.dequantize_batch(result, dtype, threads=threads)
    assert list(restored) == list(layers)
    for name, values in restored.items():
        np.testing.assert_array_equal(values, result[name].dequantize(dtype), strict=True)
        assert values.flags.writeable


def test_a_batch_is_any_mapping_of_quantized_tensors() -> None:
    q = qr.quantize(weights(4, 32), "int8")
    for mapping in ({"a": q, "b": q}, qr.BatchResult({"a": q, "b": q})):
        assert [values.shape for values in qr.dequantize_batch(mapping).values()] == [(4, 32)] * 2
    assert qr.dequantize_batch({}) == {}
    empty = qr.quantize(np.empty((0, 3), "f"), "int8")
    assert qr.dequantize_batch({"empty": empty})["empty"].shape == (0, 3)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([], "tensors must map names to QuantizedTensors"),
        (weights(2, 2), "tensors must map names to QuantizedTensors"),
        ({"a": weights(2, 2)}, "layer 'a': got .*ndarray.* instead of a QuantizedTensor"),
        ({1: None}, "name"),
    ],
)
def test_what_is_no_batch(tensors: Any, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=message):
        qr.dequantize_batch(tensors)


def test_a_mapping_may_fail_while_it_is_read() -> None:
    class Failing(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise KeyError(name)

        def __iter__(self) -> Any:
            yield "a"

        def __len__(self) -> int:
            return 1

    with pytest.raises(KeyError):
        qr.dequantize_batch(Failing())


def test_items_that_are_no_pairs() -> None:
    class Odd(dict[str, Any]):
        def items(self) -> Any:
            return [3]

    with pytest.raises(qr.InvalidInputError, match=r"must be \(name, tensor\) pairs, not 3"):
        qr.dequantize_batch(Odd())


def test_a_tensor_that_was_never_made() -> None:
    unmade = qr.QuantizedTensor.__new__(qr.QuantizedTensor)
    with pytest.raises(qr.InvalidInputError, match="layer 'a': got"):
        qr.dequantize_batch({"a": unmade})


def test_a_batch_is_counted() -> None:
    result = qr.quantize_batch(some_layers(3), "int4")
    qr.reset_metrics()
    qr.dequantize_batch(result)
    done = qr.metrics()["dequantize_batch"]
    assert (done.calls, done.layers, done.bytes_in) == (1, 3, result.nbytes)
    with pytest.raises(qr.InvalidInputError):
        qr.dequantize_batch(result, "int8")
    assert qr.metrics()["dequantize_batch"].errors == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, ml_dtypes.bfloat16])
def test_like_gives_the_dtype(dtype: Any) -> None:
    q = qr.quantize(weights(5, 40), "int4", group_size=8)
    like = np.zeros(3, dtype)
    exact = q.dequantize("float32" if dtype is np.float64 else np.dtype(dtype).name)
    for values in (
        q.dequantize(like=like),
        qr.dequantize(q, like=like),
        qr.dequantize_batch({"a": q}, like=like)["a"],
    ):
        assert isinstance(values, np.ndarray)
        np.testing.assert_array_equal(values, exact.astype(dtype), strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_like_gives_the_kind(dtype: Any) -> None:
    q = qr.quantize(weights(5, 40), "int4", group_size=8)
    values = q.dequantize(like=OtherArray(np.zeros(1, dtype)))
    assert isinstance(values, OtherArray)
    exact = q.dequantize("float16" if dtype is np.float16 else "float32")
    np.testing.assert_array_equal(values.values, exact.astype(dtype), strict=True)


def test_bfloat16_of_another_kind_goes_through_dlpack() -> None:
    q = qr.quantize(weights(5, 40), "int4", group_size=8)
    values = q.dequantize(like=OtherArray(np.zeros(1, ml_dtypes.bfloat16)))
    assert values.values.dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"like": [1.0]}, "like must be a numpy array, or a tensor of torch, jax"),
        ({"like": "float16"}, "like must be a numpy array"),
        ({"like": np.zeros(3, "i4")}, "like is of int32; values can be float32, float16"),
        ({"like": np.zeros(3, "f"), "dtype": "float16"}, "like says the dtype too"),
        (
            {"like": np.zeros(3, "f"), "out": np.zeros((2, 8), "f")},
            "out is written as it is; pass one of out and like",
        ),
    ],
)
def test_like_must_be_an_array_of_floats(arguments: dict[str, Any], message: str) -> None:
    q = qr.quantize(weights(2, 8), "int8", name="to_q")
    with pytest.raises(qr.InvalidInputError, match=f"layer 'to_q': {message}"):
        q.dequantize(**arguments)


def test_bfloat16_without_ml_dtypes() -> None:
    # In a fresh interpreter: whether ml_dtypes is there is found out once.
    code = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np, quarrow as qr
q = qr.quantize(np.array([[0.0, 1.0, 15.0]], "f"), "int4")
entries = qr.quantize_state_dict({"a.weight": np.ones((64, 128), "f")}, "int8_rowwise")
calls = [
    lambda: q.dequantize("bfloat16"),
    lambda: qr.dequantize_batch({"a": q}, "bfloat16"),
    lambda: qr.dequantize_state_dict(entries, dtype="bfloat16"),
    lambda: qr.quantize_state_dict({"b": np.ones(3, "f")}, "int8", dtype="bfloat16"),
]
for call in calls:
    try:
        print("made", call())
    except qr.InvalidInputError as error:
        assert "pip install ml_dtypes" in str(error) and "like=" in str(error), error
out = np.empty((1, 3), np.uint16)
assert q.dequantize("bfloat16", out=out) is out
print(out.tolist())
r = qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape, "bfloat16")
print(r.dtype, r.dtype_name)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [f"{[[0, 0x3F80, 0x4170]]}", "uint16 bfloat16"]


def test_a_batch_writes_into_arrays_of_the_caller() -> None:
    result = qr.quantize_batch(some_layers(3), "int4")
    out = {name: np.empty(q.shape, "f2") for name, q in result.items()}
    restored = qr.dequantize_batch(result, "float16", out)
    for name, values in restored.items():
        assert values is out[name]
        np.testing.assert_array_equal(values, result[name].dequantize("float16"))
    with pytest.raises(qr.InvalidInputError, match=r"layer 'layer.0': out has no array for it"):
        qr.dequantize_batch(result, "float16", {})
    for wrong in ([out["layer.0"]], 7):
        with pytest.raises(qr.InvalidInputError, match="out must map the names to arrays"):
            qr.dequantize_batch(result, "float16", wrong)  # type: ignore[arg-type]
    with pytest.raises(qr.InvalidInputError, match=r"layer 'layer.0': out must be"):
        qr.dequantize_batch(result, "float32", out)


def test_outputs_of_a_batch_overlap_nothing() -> None:
    q = qr.quantize(weights(4, 32), "int8")
    memory = np.empty((9, 32), "f4")
    apart = {"a": memory[:4], "b": memory[4:8]}
    qr.dequantize_batch({"a": q, "b": q}, out=apart)
    for out in ({"a": memory[:4], "b": memory[3:7]}, {"a": memory[:4], "b": memory[:4]}):
        with pytest.raises(qr.InvalidInputError, match="out must not overlap another array"):
            qr.dequantize_batch({"a": q, "b": q}, out=out)
    whole = np.zeros(4 * 4 * 32 + 4 * 32, np.uint8)
    codes = whole[4 * 4 * 32 :].reshape(4, 32)
    made = qr.QuantizedTensor(codes, q.scales, q.zero_points, q.format, q.shape)
    values = whole[: 4 * 4 * 32].view("f4").reshape(4, 32)
    qr.dequantize_batch({"a": made}, out={"a": values})
    codes = whole[4 * 4 * 32 - 32 : -32].reshape(4, 32)
    made = qr.QuantizedTensor(codes, q.scales, q.zero_points, q.format, q.shape)
    with pytest.raises(qr.InvalidInputError, match="overlap"):
        qr.dequantize_batch({"a": made}, out={"a": values})
