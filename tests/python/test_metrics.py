# SPDX-License-Identifier: Apache-2.0
"""The totals are what was really done: calls, layers, bytes, copies, errors."""

import contextlib
import functools
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
import quarrow as qr
from hypothesis import given, settings
from numpy.typing import NDArray
from quarrow import _core
from quarrow.descriptions import EntryMetrics
from safetensors.numpy import load_file, save_file

often = settings(max_examples=500, deadline=None, print_blob=True)

FORMAT = "int8_rowwise"
# The defaults leave small tensors.
EVERY_FLOAT: list[tuple[str, str | None]] = [("", FORMAT)]
ENTRY_POINTS = [
    "quantize",
    "quantize_batch",
    "quantize_arrow",
    "dequantize",
    "quantize_file",
    "dequantize_file",
    "quantize_state_dict",
    "dequantize_state_dict",
    "legacy.quantize",
]
# Elements of float32 from which on a call is timed.
TIMED_FROM = 64 * 1024 // 4


class Done(NamedTuple):
    """What one call did."""

    layers: int = 0
    bytes_in: int = 0
    copied: int = 0
    errors: int = 0


# Entry points in the order in which they were called.
Calls = list[tuple[str, Done]]


class Layer(NamedTuple):
    """A tensor to quantize, and what is the matter with it."""

    rows: int
    cols: int
    dtype: str
    kind: str

    @property
    def array(self) -> NDArray[Any]:
        if self.kind == "integers":
            return np.ones((self.rows, self.cols), np.int32)
        strided = self.kind.startswith("strided")
        shape = (self.cols, self.rows) if strided else (self.rows, self.cols)
        values = np.linspace(-1, 1, self.rows * self.cols).astype(self.dtype).reshape(shape)
        if self.kind.endswith("nan"):
            values[-1, -1] = np.nan
        return values.T if strided else values

    @property
    def bytes(self) -> int:
        return self.rows * self.cols * np.dtype(self.dtype).itemsize

    def must_be_copied(self) -> bool:
        return self.kind.startswith("strided")

    def fails(self) -> bool:
        return self.kind.endswith("nan")

    def is_readable(self, *, copy: bool) -> bool:
        return self.kind != "integers" and (copy or not self.must_be_copied())


def layers() -> st.SearchStrategy[Layer]:
    return st.builds(
        Layer,
        st.integers(2, 5),
        st.integers(2, 40),
        st.sampled_from(["f2", "f4", "f8"]),
        st.sampled_from(["plain", "plain", "strided", "nan", "strided nan", "integers"]),
    )


def several() -> st.SearchStrategy[list[Layer]]:
    return st.lists(layers(), max_size=5)


def named(several: list[Layer]) -> dict[str, NDArray[Any]]:
    return {f"{index}.weight": layer.array for index, layer in enumerate(several)}


def copied(several: list[Layer]) -> int:
    return sum(layer.bytes for layer in several if layer.must_be_copied())


def good(several: list[Layer], *, copied: int, errors: int = 0) -> Done:
    return Done(len(several), sum(layer.bytes for layer in several), copied, errors)


# Each calls one entry point (some another before it) and says what that must have done.


def quantize(layer: Layer, *, copy: bool) -> Calls:
    with contextlib.suppress(qr.InvalidInputError):
        qr.quantize(layer.array, "int4", copy=copy)
    readable = layer.is_readable(copy=copy)
    was_copied = copied([layer]) if readable else 0
    if not readable or layer.fails():
        return [("quantize", Done(copied=was_copied, errors=1))]
    return [("quantize", good([layer], copied=was_copied))]


def dequantize(layer: Layer, *, into: str) -> Calls:
    values = np.ones((layer.rows, layer.cols), layer.dtype)
    q = qr.quantize(values, "int4")
    with contextlib.suppress(qr.InvalidInputError):
        q.dequantize(into)
        qr.dequantize(q, into)
    done = Done(errors=1) if into == "float64" else Done(1, q.nbytes)
    calls = 1 if into == "float64" else 2
    return [("quantize", Done(1, values.nbytes)), *[("dequantize", done)] * calls]


def quantize_batch(several: list[Layer], *, copy: bool, on_error: str) -> Calls:
    with contextlib.suppress(qr.InvalidInputError):
        qr.quantize_batch(named(several), "int8", copy=copy, on_error=on_error)
    unreadable = [not layer.is_readable(copy=copy) for layer in several]
    fine = [layer for layer in several if layer.is_readable(copy=copy) and not layer.fails()]
    failed = len(several) - len(fine)
    if on_error == "skip":
        was_copied = copied(several) if copy else 0
        return [("quantize_batch", good(fine, copied=was_copied, errors=failed))]
    # The first layer that cannot be read ends the reading.
    read = several[: unreadable.index(True)] if any(unreadable) else several
    was_copied = copied(read) if copy else 0
    if failed:
        return [("quantize_batch", Done(copied=was_copied, errors=1))]
    return [("quantize_batch", good(fine, copied=was_copied))]


def legacy_quantize(several: list[Layer], *, ragged: bool) -> Calls:
    lists = {name: array.tolist() for name, array in named(several).items()}
    if ragged:
        lists["ragged"] = [[1.0, 2.0], [3.0]]
    with contextlib.suppress(qr.InvalidInputError):
        qr.legacy.quantize(lists)
    failing = [layer.fails() for layer in several]
    tried = several[: failing.index(True) + 1] if any(failing) else several
    # Every list becomes float64, integers too.
    total = sum(8 * layer.rows * layer.cols for layer in tried)
    if any(failing) or ragged:
        return [("legacy.quantize", Done(copied=total, errors=1))]
    return [("legacy.quantize", Done(len(several), total, total))]


def of_a_job(several: list[Layer], *, on_error: str, copied: int) -> Done:
    """Say what a job over tensors does, which quantizes those of floats."""
    floats = [layer for layer in several if layer.kind != "integers"]
    fine = [layer for layer in floats if not layer.fails()]
    if on_error == "raise" and len(fine) < len(floats):
        return Done(copied=copied, errors=1)
    return good(fine, copied=copied, errors=len(floats) - len(fine))


def of_the_way_back(several: list[Layer], entries: dict[str, Any], *, into: str | None) -> Done:
    if into == "int8":
        return Done(errors=1)
    kept = [layer.kind == "integers" or layer.fails() for layer in several]
    stored = [each for name, each in entries.items() if not kept[int(name.split(".")[0])]]
    return Done(kept.count(False), sum(each.nbytes for each in stored))


def quantize_state_dict(several: list[Layer], *, on_error: str) -> Calls:
    tensors = named(several)
    with contextlib.suppress(qr.NonFiniteError):
        qr.quantize_state_dict(tensors, FORMAT, rules=EVERY_FLOAT, on_error=on_error)
    return [("quantize_state_dict", of_a_job(several, on_error=on_error, copied=copied(several)))]


def dequantize_state_dict(several: list[Layer], *, into: str | None) -> Calls:
    entries = qr.quantize_state_dict(named(several), FORMAT, rules=EVERY_FLOAT, on_error="skip")
    with contextlib.suppress(qr.InvalidInputError):
        qr.dequantize_state_dict(entries, dtype=into)
    # What stayed as it was is copied once more.
    again = sum(each.nbytes for each in entries.values() if not each.flags.c_contiguous)
    before = of_a_job(several, on_error="skip", copied=copied(several))
    done = of_the_way_back(several, entries, into=into)
    return [
        ("quantize_state_dict", before),
        ("dequantize_state_dict", done._replace(copied=again)),
    ]


@contextlib.contextmanager
def file_of(several: list[Layer]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        arrays = {name: np.ascontiguousarray(array) for name, array in named(several).items()}
        save_file(arrays, Path(folder, "in"))
        yield Path(folder, "in")


def quantize_file(several: list[Layer], *, on_error: str, dry_run: bool) -> Calls:
    with file_of(several) as path, contextlib.suppress(qr.NonFiniteError):
        qr.quantize_file(
            path,
            path.with_name("out"),
            FORMAT,
            rules=EVERY_FLOAT,
            on_error=on_error,
            dry_run=dry_run,
            sync=False,
        )
    done = Done() if dry_run else of_a_job(several, on_error=on_error, copied=0)
    return [("quantize_file", done)]


def dequantize_file(several: list[Layer], *, into: str | None) -> Calls:
    with file_of(several) as path:
        out = path.with_name("out")
        qr.quantize_file(path, out, FORMAT, rules=EVERY_FLOAT, on_error="skip", sync=False)
        with contextlib.suppress(qr.InvalidInputError):
            qr.dequantize_file(out, path.with_name("back"), dtype=into, sync=False)
        done = of_the_way_back(several, load_file(out), into=into)
    before = of_a_job(several, on_error="skip", copied=0)
    return [("quantize_file", before), ("dequantize_file", done)]


def calls() -> st.SearchStrategy[Callable[[], Calls]]:
    """Draw one of the functions above, with its arguments."""
    on_error = st.sampled_from(["raise", "skip"])
    into = st.sampled_from([None, "float16", "int8"])

    def drawn(function: Callable[..., Calls], *arguments: Any, **options: Any) -> Any:
        return st.builds(functools.partial, st.just(function), *arguments, **options)

    return st.one_of(
        drawn(quantize, layers(), copy=st.booleans()),
        drawn(dequantize, layers(), into=st.sampled_from(["float32", "float16", "float64"])),
        drawn(quantize_batch, several(), copy=st.booleans(), on_error=on_error),
        drawn(legacy_quantize, several(), ragged=st.booleans()),
        drawn(quantize_state_dict, several(), on_error=on_error),
        drawn(dequantize_state_dict, several(), into=into),
        drawn(quantize_file, several(), on_error=on_error, dry_run=st.booleans()),
        drawn(dequantize_file, several(), into=into),
    )


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


def totals(calls: Calls) -> dict[str, tuple[int, ...]]:
    sums: dict[str, tuple[int, ...]] = defaultdict(lambda: (0,) * 5)
    for entry, done in calls:
        sums[entry] = tuple(a + b for a, b in zip(sums[entry], (1, *done), strict=True))
    return dict(sums)


@often
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
    qr.quantize_batch({"a": small}, "int8")
    q.dequantize()
    qr.legacy.quantize({"a": [1.0, 2.0]})
    qr.quantize_state_dict({"a.weight": small}, FORMAT)
    assert len(counted()) == 5
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
    qr.quantize_batch({"a": large}, "int8")
    qr.legacy.quantize({"a": large.tolist()})
    entries = qr.quantize_state_dict({"a.weight": large}, FORMAT)
    qr.dequantize_state_dict(entries)
    # Files whatever their size.
    save_file({"a": np.ones(3)}, tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT)
    qr.dequantize_file(tmp_path / "out", tmp_path / "back")
    untimed = [entry for entry, each in qr.metrics().items() if each.seconds == 0]
    assert untimed == ["quantize_arrow"]


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
