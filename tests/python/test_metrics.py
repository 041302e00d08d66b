# SPDX-License-Identifier: Apache-2.0
"""The totals are what was really done: calls, layers, bytes, copies, errors."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from counted_calls import (
    Calls,
    Layer,
    calls,
    dequantize,
    legacy_quantize,
    quantize,
    quantize_batch,
    quantize_state_dict,
    totals,
)
from hypothesis import given
from numpy.typing import NDArray
from quarrow import _core
from quarrow.descriptions import EntryMetrics
from safetensors.numpy import save_file

FORMAT = "int8_rowwise"
ENTRY_POINTS = [
    "quantize",
    "quantize_batch",
    "quantize_arrow",
    "dequantize",
    "dequantize_batch",
    "dequantize_arrow",
    "quantize_file",
    "dequantize_file",
    "convert_file",
    "save",
    "quantize_state_dict",
    "dequantize_state_dict",
    "legacy.quantize",
]
# Elements of float32 from which on a call is timed.
TIMED_FROM = 64 * 1024 // 4


@pytest.fixture(autouse=True)
def _from_zero() -> None:
    qr.reset_metrics()


def counted() -> dict[str, tuple[int, ...]]:
    """Give the entry points that were called, without seconds."""
    return {
        entry: (each.calls, each.layers, each.bytes_in, each.bytes_copied, each.errors)
        for entry, each in qr.metrics().items()
        if each.calls
    }


@given(st.lists(calls(), max_size=4))
def test_totals_are_what_was_done(several: list[Callable[[], Calls]]) -> None:
    qr.reset_metrics()
    expected = totals([call for each in several for call in each()])
    assert counted() == expected


def test_every_entry_point_is_there_from_the_start() -> None:
    assert qr.metrics() == dict.fromkeys(ENTRY_POINTS, EntryMetrics(0, 0, 0, 0, 0.0, 0))
    assert list(qr.metrics()) == ENTRY_POINTS


def test_reset_sets_every_figure_to_zero() -> None:
    quantize_batch(
        [Layer(90, 900, "f4", kind) for kind in ("plain", "strided", "nan")],
        copy=True,
        on_error="skip",
    )
    assert 0 not in qr.metrics()["quantize_batch"]
    qr.reset_metrics()
    assert qr.metrics()["quantize_batch"] == EntryMetrics(0, 0, 0, 0, 0.0, 0)


def test_small_calls_are_counted_but_not_timed() -> None:
    small = np.ones((1, TIMED_FROM - 1), np.float32)
    q = qr.quantize(small, "int8")
    assert q.stats.view_seconds == q.stats.alloc_seconds == q.stats.export_seconds == 0
    assert 0 < q.stats.core_seconds <= q.stats.total_seconds
    # A copy of its float16 scales is handed over at the end.
    out = qr.quantize(small, "int8", scale_dtype="float16")
    assert out.scales is not None
    assert qr.quantize(small, "int8", scale_dtype="float16", out=out).stats.export_seconds == 0
    q.dequantize()
    table = pa.table({"layer_name": ["a"], "weights": [small.ravel()]})
    for made in (qr.quantize_batch({"a": small}, "int8"), qr.quantize_arrow(table, "int8")):
        stats = made.stats  # type: ignore[union-attr]
        assert stats.view_seconds == stats.alloc_seconds == stats.export_seconds == 0
        assert 0 < stats.core_seconds < stats.total_seconds
    qr.legacy.quantize({"a": [1.0, 2.0]})
    qr.quantize_state_dict({"a.weight": small}, FORMAT)
    assert len(counted()) == 6
    assert {each.seconds for each in qr.metrics().values()} == {0.0}


def test_seconds_are_those_of_the_calls() -> None:
    large = np.ones((1, TIMED_FROM), np.float32)
    total = sum(qr.quantize(large, "int8").stats.total_seconds for _ in range(3))
    assert qr.metrics()["quantize"].seconds == pytest.approx(total, abs=3e-9)
    batch = qr.quantize_batch({"a": large, "b": large}, "int8")
    assert qr.metrics()["quantize_batch"].seconds == pytest.approx(
        batch.stats.total_seconds, abs=1e-9
    )


def test_every_entry_point_is_timed(tmp_path: Path) -> None:
    large = np.ones((4, TIMED_FROM), np.float32)
    qr.quantize(large, "int8").dequantize()
    batch = qr.quantize_batch({"a": large}, "int8")
    qr.dequantize_batch(batch)
    qr.dequantize_arrow(batch)
    batch.save(tmp_path / "saved")
    qr.quantize_arrow(pa.table({"layer_name": ["a"], "weights": [large.ravel()]}), "int8")
    qr.legacy.quantize({"a": large.tolist()})
    entries = qr.quantize_state_dict({"a.weight": large}, FORMAT)
    qr.dequantize_state_dict(entries)
    # Files whatever their size.
    save_file({"a": np.ones(3)}, tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT)
    qr.dequantize_file(tmp_path / "out", tmp_path / "back")
    qr.convert_file(tmp_path / "back", tmp_path / "copy")
    untimed = [entry for entry, each in qr.metrics().items() if each.seconds == 0]
    assert untimed == []


def test_an_error_before_the_first_batch_counts() -> None:
    for wrong in ({"a": [1]}, {"layer_name": ["a"], "weights": ["text"]}):
        with pytest.raises(qr.InvalidInputError):
            qr.quantize_arrow(pa.table(wrong), "int4")
    with pytest.raises(qr.UnsupportedFormatError):
        qr.quantize_arrow(pa.table({"a": [1]}), "int5")
    assert counted() == {"quantize_arrow": (3, 0, 0, 0, 3)}


def test_calls_from_code_of_the_caller_count_by_themselves(tmp_path: Path) -> None:
    w = np.ones((40, 40), np.float32)

    def arrays() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for name in "ab":
            yield name, qr.quantize(w, "int8").dequantize()

    def progress(*_: object) -> None:
        qr.quantize(w, "int8")

    qr.quantize_batch(arrays(), "int8", progress=progress)
    save_file({"a.weight": w}, tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT, progress=lambda *_: None)
    called = counted()
    assert called["quantize"] == (4, 4, 4 * w.nbytes, 0, 0)
    assert called["quantize_batch"] == (1, 2, 2 * w.nbytes, 0, 0)
    assert called["quantize_file"] == (1, 1, w.nbytes, 0, 0)


def test_an_exception_of_the_caller_is_an_error() -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    w = np.ones((40, 40), np.float32)
    with pytest.raises(KeyboardInterrupt):
        qr.quantize_batch({"a": w}, "int8", progress=stop)
    with pytest.raises(KeyboardInterrupt):
        qr.quantize_state_dict({"a.weight": w}, FORMAT, progress=stop)
    assert counted() == {
        "quantize_batch": (1, 0, 0, 0, 1),
        "quantize_state_dict": (1, 0, 0, 0, 1),
    }


def test_totals_of_several_threads_are_exact() -> None:
    threads, rounds = 8, 60
    small = Layer(3, 40, "f4", "plain")
    large = Layer(128, 256, "f4", "plain")
    broken = Layer(3, 40, "f8", "strided nan")

    def work(_: int) -> Calls:
        done: Calls = []
        for _ in range(rounds):
            done += quantize(small, copy=False)
            done += quantize(large, copy=False)
            done += quantize(broken, copy=True)
            done += dequantize(large, into="float32")
            done += quantize_batch([small, large, broken], copy=True, on_error="skip")
            done += legacy_quantize([small, broken], ragged=False)
            done += quantize_state_dict([large, broken], on_error="skip")
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = [call for each in pool.map(work, range(threads)) for call in each]
    assert counted() == totals(done)


def test_a_record_that_is_left_early_or_never_entered_does_no_harm() -> None:
    _core.CallRecord("quantize_file")
    with pytest.raises(qr.InvalidInputError, match="no entry point 'merge'"):
        _core.CallRecord("merge")
    record = _core.CallRecord("quantize_file")
    record.copied(1)
    record.__exit__(None, None, None)
    assert counted() == {}
    record.__enter__()
    del record
    assert counted() == {"quantize_file": (1, 0, 0, 0, 1)}


def test_a_record_is_entered_once_and_left_by_its_thread() -> None:
    with _core.CallRecord("quantize_file") as record:
        with pytest.raises(qr.InvalidInputError, match="entered twice"):
            record.__enter__()
        with ThreadPoolExecutor(1) as pool:
            left = pool.submit(record.__exit__, None, None, None)
        with pytest.raises(qr.InvalidInputError, match="by another thread"):
            left.result()
    assert counted() == {"quantize_file": (1, 0, 0, 0, 0)}


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("dropped", [False, True])
def test_records_in_any_order_do_no_harm(order: tuple[int, ...], dropped: bool) -> None:  # noqa: FBT001
    entries = ("legacy.quantize", "quantize_file", "legacy.quantize")
    records: list[_core.CallRecord | None] = [_core.CallRecord(entry) for entry in entries]
    for record in records:
        assert record is not None
        record.__enter__()
    for index in order:
        record = records[index]
        assert record is not None
        if not dropped:
            record.__exit__(None, None, None)
        records[index] = record = None
        qr.quantize(np.ones((2, 8), np.float32), "int8")
    qr.reset_metrics()
    qr.quantize(np.ones((2, 8), np.float32), "int8")
    assert counted() == {"quantize": (1, 1, 64, 0, 0)}


def test_a_record_that_another_thread_drops_takes_over_no_call() -> None:
    def enter_and_call(records: list[_core.CallRecord]) -> None:
        records.append(_core.CallRecord("legacy.quantize").__enter__())

    records: list[_core.CallRecord] = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(enter_and_call, records).result()
        records.clear()
        pool.submit(qr.quantize, np.ones((2, 8), np.float32), "int8").result()
    assert counted() == {"quantize": (1, 1, 64, 0, 0)}
