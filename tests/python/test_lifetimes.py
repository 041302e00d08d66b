# SPDX-License-Identifier: Apache-2.0
"""Who outlives whom, and that nothing stays behind, for every way in."""

import gc
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from batch_layers import damaged, weights

W = weights(8, 128)
TABLE = pa.table({"layer_name": ["a", "b"], "weights": [W.ravel().tolist()] * 2})


def batch() -> None:
    r = qr.quantize_batch({"a": W, "b": W}, "int4", rules=[("b", "int8")])
    assert r["a"].codes is not None
    assert r["b"].scales is not None


def failing_batch() -> None:
    with pytest.raises(qr.NonFiniteError):
        qr.quantize_batch({"a": W, "b": damaged(W)}, "int4")
    with pytest.raises(qr.InvalidInputError):
        qr.quantize_batch({"a": W, "b": W.T}, "int4")


def skipping_batch() -> None:
    r = qr.quantize_batch({"a": W, "b": damaged(W), "c": [1]}, "int4", on_error="skip")
    assert len(r.errors) == 2


def batch_with_callables() -> None:
    names: list[str] = []
    qr.quantize_batch(
        {"a": W, "b": W},
        "int4",
        rules=lambda name: "int8" if name == "a" else None,
        progress=lambda _done, _total, name: names.append(name),
    )


def arrow() -> None:
    result: Any = qr.quantize_arrow(TABLE, "int4")
    assert result.to_pyarrow().num_rows == 2
    assert pa.record_batch(result).num_rows == 2


def arrow_stream() -> None:
    stream: Any = qr.quantize_arrow(TABLE.to_reader(1), "int4", rules=lambda _: "int8")
    assert pa.RecordBatchReader.from_stream(stream).read_next_batch().num_rows == 1
    assert len(list(qr.quantize_arrow(TABLE.to_reader(1), "int4"))) == 2  # type: ignore[arg-type]


def failing_arrow() -> None:
    bad = pa.table({"layer_name": ["a"], "weights": [[float("nan")]]})
    with pytest.raises(qr.NonFiniteError):
        qr.quantize_arrow(bad, "int4")
    stream: Any = qr.quantize_arrow(bad.to_reader(), "int4")
    with pytest.raises(pa.ArrowInvalid):
        pa.table(stream)


def exported() -> None:
    q = qr.quantize(W, "int4", name="a")
    assert pa.record_batch(q).num_rows == 1
    held = qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape)
    assert pa.record_batch(held).num_rows == 1
    assert pa.table(qr.quantize_batch({"a": W}, "int4")).num_rows == 1


def state_dict() -> None:
    small = qr.quantize_state_dict({"a.weight": W}, "int8_rowwise")
    assert qr.dequantize_state_dict(small)["a.weight"].shape == W.shape


CALLS = [
    batch, failing_batch, skipping_batch, batch_with_callables, arrow, arrow_stream, failing_arrow,
    exported, state_dict,
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_no_reference_is_left_behind(call: Callable[[], None]) -> None:
    for _ in range(5):
        call()
    gc.collect()
    counted = (W, TABLE, None, qr.BatchResult, "int8", qr.NonFiniteError)
    before = [sys.getrefcount(each) for each in counted]
    objects = len(gc.get_objects())
    for _ in range(200):
        call()
    gc.collect()
    after = [sys.getrefcount(each) for each in counted]
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 50
    assert abs(len(gc.get_objects()) - objects) < 50


@pytest.mark.memory
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("call", [*CALLS, lambda: qr.quantize(W, "int4").dequantize()])
def test_ten_thousand_calls_leave_memory_flat(call: Callable[[], object]) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

    for _ in range(1000):
        call()
    grown = []
    # An allocator may take another block once; a leak grows in each round.
    for _ in range(3):
        gc.collect()
        before = resident()
        for _ in range(10_000):
            call()
        gc.collect()
        grown.append(resident() - before)
        # A hundred bytes a call would be a megabyte.
        if grown[-1] < 1 << 20:
            return
    pytest.fail(f"memory grew by {grown} bytes in three rounds")


def test_tensors_and_arrays_outlive_their_result() -> None:
    expected = qr.quantize(W, "int4")
    r = qr.quantize_batch({"a": W, "b": W}, "int4")
    q, codes = r["a"], r["b"].codes
    table = pa.table(r)
    watched = weakref.ref(codes)
    del r
    gc.collect()
    junk = [np.full(600, 255, np.uint8) for _ in range(1000)]
    assert len(junk) == 1000
    assert q == expected
    np.testing.assert_array_equal(codes, expected.codes)
    assert table["codes"].to_pylist() == [expected.codes.tobytes()] * 2
    del codes
    assert watched() is None


def test_a_slab_lives_as_long_as_its_last_reader() -> None:
    """The memory is that of all layers together; a copy has its own."""
    layers = {f"l{i}": weights(64, 1024, seed=i) for i in range(100)}
    r = qr.quantize_batch(layers, "int8")
    copied = r["l7"].copy()
    kept = r["l3"].codes
    assert not np.shares_memory(copied.codes, r["l7"].codes)
    distance = abs(
        kept.__array_interface__["data"][0] - r["l4"].codes.__array_interface__["data"][0]
    )
    assert distance == kept.nbytes
    del r
    gc.collect()
    np.testing.assert_array_equal(kept, qr.quantize(layers["l3"], "int8").codes)
    assert copied == qr.quantize(layers["l7"], "int8")


def test_inputs_outlive_their_results() -> None:
    w = W.copy()
    before = w.copy()
    result: Any = qr.quantize_arrow(TABLE, "int4")
    r = qr.quantize_batch({"a": w}, "int4")
    del r, result
    gc.collect()
    np.testing.assert_array_equal(w, before)
    assert TABLE["weights"][1].as_py() == W.ravel().tolist()


class Owner:
    """What a circle of references keeps alive."""

    held: object


class Named(str):
    """A name that can close one."""

    __slots__ = ("owner",)
    owner: Owner


def raised_error(owner: Owner) -> None:
    """The error holds this frame, the frame the result, and the result the error."""
    owner.held = r = qr.quantize_batch({"a": damaged(W)}, "int4", on_error="skip")
    raise r.errors["a"]


def tensor_in_its_own_array(owner: Owner) -> None:
    class Array(np.ndarray[Any, Any]):
        owner: Owner

    q = qr.quantize(W, "int8")
    codes = q.codes.view(Array)
    codes.owner = owner
    owner.held = qr.QuantizedTensor(codes, q.scales, q.zero_points, q.format, q.shape)


def result_of_a_tensor_in_its_own_name(owner: Owner) -> None:
    name = Named("a")
    name.owner = owner
    owner.held = qr.BatchResult({"b": qr.quantize(W, "int4", name=name)})


@pytest.mark.parametrize(
    "close", [raised_error, tensor_in_its_own_array, result_of_a_tensor_in_its_own_name]
)
def test_circles_are_collected(close: Callable[[Owner], None]) -> None:
    owner = Owner()
    watched = weakref.ref(owner)
    with suppress(qr.NonFiniteError):
        close(owner)
    del owner
    gc.collect()
    assert watched() is None


class Renaming:
    """Cannot be read, and gives a tensor another name when one tries."""

    def __init__(self, q: qr.QuantizedTensor) -> None:
        self.q = q

    def __dlpack__(self, **_: object) -> object:
        qr.quantize(W, "int8", out=self.q, name=f"new {id(self)}")
        raise BufferError

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


def test_an_input_that_renames_the_tensor_meanwhile_does_no_harm() -> None:
    q = qr.quantize(W, "int8", name=f"old {len(W)}")  # a string that nobody else holds
    with pytest.raises(qr.InvalidInputError, match="layer 'old 8': the Renaming is on"):
        q.error(Renaming(q))
    assert str(q.name).startswith("new ")
