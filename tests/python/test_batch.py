# SPDX-License-Identifier: Apache-2.0
"""Many layers in one call."""

import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from batch_layers import Exporter, damaged, some_layers, weights
from bit_identity import AFFINE, ROWWISE, as_format, variant_name
from numpy.typing import NDArray
from reference import Fields
from workload import HANG_SECONDS


class Lazy(Mapping[str, Any]):
    """A mapping that is no dict."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Any:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@pytest.mark.parametrize("fields", [*AFFINE, ROWWISE], ids=variant_name)
def test_each_layer_is_what_a_single_call_gives(fields: Fields) -> None:
    layers: dict[str, Any] = {
        "2-D": weights(33, 70),
        "1-D": weights(517),
        "4-D": weights(5, 4, 3, 3),
        "no rows": np.zeros((0, 5), np.float32),
        "no columns": np.zeros((3, 0), np.float32),
        "one": weights(1, 1),
        "strided": weights(40, 64)[::-2],
        "half": weights(9, 130).astype(np.float16),
        "double": weights(9, 130).astype(np.float64),
        "many tiles": weights(200, 1531),
        "unaligned": np.frombuffer(b"x" + weights(6, 7).tobytes(), np.uint8)[1:].view(np.float32),
    }
    r = qr.quantize_batch(layers, as_format(fields))
    assert list(r) == list(layers)
    for name, w in layers.items():
        assert r[name] == qr.quantize(w, as_format(fields), name=name), name
        assert r[name].name == name
        assert r[name].shape == w.shape


@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        OrderedDict,
        Lazy,
        lambda d: list(d.items()),
        lambda d: ([name, w] for name, w in d.items()),
    ],
)
def test_mappings_and_pairs(wrap: Any) -> None:
    layers = some_layers()
    assert qr.quantize_batch(wrap(layers), "int4") == qr.quantize_batch(layers, "int4")


def test_stochastic_rounding_depends_on_the_name_of_each_layer() -> None:
    w = weights(8, 256)
    r = qr.quantize_batch({"a": w, "b": w}, "int4", rounding="stochastic", seed=7)
    for name in "ab":
        assert r[name] == qr.quantize(w, "int4", rounding="stochastic", seed=7, name=name)
    assert r["a"] != r["b"]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_threads_change_nothing(threads: int) -> None:
    layers = {"large": weights(700, 1024), **some_layers(40)}
    r = qr.quantize_batch(layers, "int4", threads=threads)
    assert r == {name: qr.quantize(w, "int4") for name, w in layers.items()}


def test_a_checkpoint_is_a_batch(tmp_path: Any) -> None:
    from safetensors.numpy import save_file

    layers = some_layers()
    save_file(layers, tmp_path / "a.safetensors")
    with qr.open(tmp_path / "a.safetensors") as checkpoint:
        assert qr.quantize_batch(checkpoint, "int8") == qr.quantize_batch(layers, "int8")


# The result.


def test_a_result_is_a_mapping() -> None:
    layers = some_layers(3)
    r = qr.quantize_batch(layers, "int4")
    assert isinstance(r, Mapping)
    assert len(r) == 3
    assert list(r) == list(r.keys()) == list(layers)
    assert [q.name for q in r.values()] == list(layers)
    assert [name for name, _ in r.items()] == list(layers)
    assert "layer.1" in r
    assert "layer.9" not in r
    assert r.get("layer.1") is r["layer.1"]
    assert r.get("layer.9") is None
    assert r.get("layer.9", 3) == 3
    assert r.nbytes == sum(q.nbytes for q in r.values())
    with pytest.raises(KeyError, match=r"layer\.9"):
        r["layer.9"]
    with pytest.raises(TypeError):
        r[["unhashable"]]  # type: ignore[index]
    with pytest.raises(TypeError, match="unhashable"):
        hash(r)


def test_results_compare_copy_and_pickle() -> None:
    layers = some_layers(3)
    bad = {"bad": damaged(weights(2, 2)), "\ud800": weights(2, 2)}
    r = qr.quantize_batch({**layers, **bad}, "int4", on_error="skip")
    assert r == dict(r)
    assert r != dict(list(r.items())[:2])
    assert r != qr.quantize_batch(layers, "int4")
    assert r != 3
    for again in (copy.copy(r), copy.deepcopy(r), r.copy(), pickle.loads(pickle.dumps(r))):
        assert again == r
        assert list(again) == list(r)
        assert again.errors == r.errors
        assert not np.shares_memory(again["layer.0"].codes, r["layer.0"].codes)
    assert repr(r) == f"BatchResult(3 layers, nbytes={r.nbytes}, 2 errors)"
    assert repr(qr.BatchResult({})) == "BatchResult(0 layers, nbytes=0)"


@pytest.mark.parametrize(
    ("tensors", "errors"),
    [
        (None, {}), ({1: None}, {}), ({"a": 3}, {}), ({}, {"a": 3}), ({}, {1: qr.QuarrowError()}),
        ({"\ud800": qr.quantize(weights(2), "int4")}, {}),
    ],
)  # fmt: skip
def test_a_crooked_result_is_refused(tensors: Any, errors: Any) -> None:
    with pytest.raises(qr.InvalidInputError):
        qr.BatchResult(tensors, errors)


def test_stats_are_of_the_whole_call() -> None:
    turned = {"transposed": weights(6, 5).T, "turned too": weights(3, 4).T}
    layers = turned | some_layers(4)
    r = qr.quantize_batch(layers, "int4", copy=True)
    stats = r.stats
    assert stats.bytes_in == sum(w.nbytes for w in layers.values())
    assert stats.bytes_out == r.nbytes
    assert stats.bytes_copied == sum(w.nbytes for w in turned.values())
    parts = stats.view_seconds + stats.alloc_seconds + stats.core_seconds + stats.export_seconds
    assert 0 < parts <= stats.total_seconds * (1 + 1e-9)
    assert (stats.threads, stats.isa) == (1, qr.info()["isa"])
    one = r["layer.1"].stats
    assert (one.bytes_in, one.bytes_out) == (layers["layer.1"].nbytes, r["layer.1"].nbytes)
    assert one.total_seconds == 0


# Memory.


def address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def test_small_layers_lie_side_by_side_and_large_ones_alone() -> None:
    # 4 MiB of codes is large.
    layers = {"a": weights(3, 100), "large": np.zeros((1024, 4096), np.float16), "b": weights(5, 7)}
    r = qr.quantize_batch(layers, "int8")
    assert address(r["b"].codes) == address(r["a"].codes) + r["a"].codes.nbytes
    assert address(r["b"].scales) == address(r["a"].scales) + r["a"].scales.nbytes
    distance = address(r["large"].codes) - address(r["a"].codes)
    assert not 0 <= distance < 4096


def test_arrays_outlive_the_result_and_the_inputs() -> None:
    layers = some_layers()
    expected = {name: qr.quantize(w, "int4").codes.copy() for name, w in layers.items()}
    r = qr.quantize_batch(layers, "int4")
    codes = {name: q.codes for name, q in r.items()}
    del r, layers
    gc.collect()
    junk = [np.full(1000, 255, np.uint8) for _ in range(100)]
    assert len(junk) == 100
    for name, array in codes.items():
        np.testing.assert_array_equal(array, expected[name])


def test_the_inputs_are_let_go() -> None:
    w = weights(4, 4)
    # What cannot be read is refused by Python code, whose frames hold it.
    layers = {"a": w, "bad": damaged(w), "transposed": weights(3, 4).T}
    before = sys.getrefcount(w)
    r = qr.quantize_batch(layers, "int4", on_error="skip")
    assert sys.getrefcount(w) == before
    watched = [weakref.ref(layers[name]) for name in ("bad", "transposed")]
    del layers
    assert [each() for each in watched] == [None, None], "an error holds its layer"
    assert list(r.errors) == ["bad", "transposed"]


def test_a_mapping_that_changes_during_the_call_has_no_effect() -> None:
    w = weights(2, 8)
    expected = qr.quantize_batch({"first": w, **some_layers(3)}, "int4")
    layers: dict[str, Any] = {}
    layers |= {"first": Exporter(w, layers.clear), **some_layers(3)}
    assert qr.quantize_batch(layers, "int4") == expected
    assert not layers


# Rules.


def test_rules_give_formats_by_name() -> None:
    layers = some_layers(4)
    special = qr.Format("int4", group_size=16)
    r = qr.quantize_batch(
        layers, "int2", rules=[(r"\.0$", "int8"), ("layer.1", special), ("2", None), ("0", "int4")]
    )
    assert {name: q.format for name, q in r.items()} == {
        "layer.0": qr.Format("int8"),
        "layer.1": special,
        "layer.3": qr.Format("int2"),
    }
    assert not r.errors


def test_rules_may_be_a_callable() -> None:
    layers = some_layers(3)
    wanted = {"layer.0": "int8", "layer.1": None, "layer.2": qr.Format("int4", symmetric=True)}
    r = qr.quantize_batch(layers, "int2", rules=wanted.__getitem__)
    assert r == {
        "layer.0": qr.quantize(layers["layer.0"], "int8"),
        "layer.2": qr.quantize(layers["layer.2"], "int4", symmetric=True),
    }
    with pytest.raises(qr.UnsupportedFormatError):
        qr.quantize_batch(layers, "int2", rules=lambda _: "int5")
    with pytest.raises(ZeroDivisionError):
        qr.quantize_batch(layers, "int2", rules=lambda _: "int4" * (1 // 0))


# Progress.


def test_progress_counts_every_layer_once() -> None:
    layers: dict[str, Any] = {"x": [1.0], **some_layers(30), "nan": damaged(weights(2, 2))}
    layers["empty"] = np.zeros((0, 3), np.float32)
    layers["large"] = weights(900, 1024)
    calls: list[tuple[int, int, str]] = []
    r = qr.quantize_batch(
        layers, "int4", on_error="skip", progress=lambda *call: calls.append(call)
    )
    assert [done for done, _, _ in calls] == list(range(1, len(layers) + 1))
    assert {total for _, total, _ in calls} == {len(layers)}
    assert {name for _, _, name in calls} == set(layers)
    assert len(r) == len(layers) - 2


def test_progress_names_the_layers_as_they_finish() -> None:
    """What there is nothing to do for is finished before the first tile."""
    layers = {"a": weights(2, 8), "empty": np.zeros((0, 8), np.float32), "b": weights(3, 8)}
    names: list[str] = []
    qr.quantize_batch(layers, "int4", progress=lambda _done, _total, name: names.append(name))
    assert names == ["empty", "a", "b"]


def test_an_empty_batch_has_no_progress() -> None:
    calls: list[Any] = []
    qr.quantize_batch({}, "int4", progress=lambda *call: calls.append(call))
    assert calls == []


def test_progress_comes_while_the_work_goes_on_and_on_this_thread() -> None:
    """The repeated row costs no memory, and seconds of work."""
    slow = np.broadcast_to(weights(1, 4096), (1 << 15, 4096))
    threads = set()
    seen: list[str] = []

    def progress(_done: int, _total: int, name: str) -> None:
        threads.add(threading.get_ident())
        seen.append(name)
        if name == "first":
            raise StopIteration("enough")  # noqa: EM101

    layers = {"first": weights(4, 4), "slow": slow, "slow too": slow}
    with pytest.raises(StopIteration, match="enough"):
        qr.quantize_batch(layers, "int4", rounding="stochastic", progress=progress)
    assert seen == ["first"], "the call went on to its end"
    assert threads == {threading.get_ident()}


def test_ctrl_c_stops_a_batch_half_way() -> None:
    code = """
import signal
import numpy as np, quarrow as qr
w = np.broadcast_to(np.random.default_rng(0).normal(size=4096).astype("f"), (1 << 14, 4096))
def interrupt(done, total, name):
    signal.raise_signal(signal.SIGINT)
try:
    qr.quantize_batch({f"l{i}": w for i in range(100)}, "int4", rounding="stochastic",
                      progress=interrupt)
except KeyboardInterrupt:
    print("stopped")
print(qr.quantize_batch({"a": np.ones((1, 4), "f")}, "int8")["a"].codes.tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.stdout.splitlines() == ["stopped", "[[255, 255, 255, 255]]"], done.stderr


# One crossing, and threads.


@pytest.mark.parametrize("count", [1, 2, 300, 10_000])
def test_one_call_crosses_the_boundary_once(count: int) -> None:
    """The binding counts one call; the interpreter sees none into other code, and none back."""
    w = weights(1, 4)
    layers = {f"l{i}": w for i in range(count)}
    events: list[tuple[str, str]] = []
    qr.reset_metrics()

    def watch(frame: Any, event: str, argument: Any) -> None:
        name = argument.__name__ if event.startswith("c_") else frame.f_code.co_name
        events.append((event, name))

    gc.collect()  # what others left may run code when it goes
    gc.disable()  # as may those who are told of collections, which so many tensors cause
    sys.setprofile(watch)
    try:
        r = qr.quantize_batch(layers, "int4")
    finally:
        sys.setprofile(None)
        gc.enable()
    calls = [event for event in events if event[0] in ("call", "c_call")]
    assert [name for _, name in calls if name != "setprofile"] in ([], ["quantize_batch"])
    called = {entry: each for entry, each in qr.metrics().items() if each.calls}
    assert list(called) == ["quantize_batch"]
    assert called["quantize_batch"][:2] == (1, count)
    assert len(r) == count


def test_concurrent_batches_get_their_own_results() -> None:
    batches = [{f"l{i}": weights(40, 300, seed=10 * t + i) for i in range(9)} for t in range(8)]
    expected = [qr.quantize_batch(layers, "int4", threads=1) for layers in batches]
    equal: list[bool] = []

    def work(t: int) -> None:
        equal.extend(
            qr.quantize_batch(batches[t], "int4", threads=2) == expected[t] for _ in range(20)
        )

    threads = [threading.Thread(target=work, args=(t,)) for t in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert equal == [True] * 160


def test_dropping_the_inputs_during_the_call_is_safe() -> None:
    """The first layer, once it is done, makes its caller forget all of them."""
    slow = {f"l{i}": np.tile(weights(1, 1024, seed=i), (2048, 1)) for i in range(8)}
    expected = qr.quantize_batch(slow, "int4", rounding="stochastic")
    layers = {"first": weights(2, 2), **{name: w.copy() for name, w in slow.items()}}
    watched = weakref.ref(layers["l7"])
    alive: list[bool] = []

    def forget(_done: int, _total: int, name: str) -> None:
        layers.clear()
        alive.append(watched() is not None)
        del name

    r = qr.quantize_batch(layers, "int4", rounding="stochastic", progress=forget)
    assert alive[0]
    assert watched() is None
    assert {name: r[name] for name in slow} == dict(expected)
