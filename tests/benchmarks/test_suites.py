# SPDX-License-Identifier: Apache-2.0
"""What the suites declare fits together, whatever is installed here."""

import ctypes
import importlib.util
import os
import re
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import quarrow as qr

from benchmarks import fixtures, jobs, models, verification
from benchmarks.cases import missing_copy
from benchmarks.harness import environment
from benchmarks.harness.case import WrongResultError
from benchmarks.harness.targets import read_headlines, read_targets
from benchmarks.plain_file import copy_plainly
from benchmarks.suites import NAMES, batch_overhead, kernels, load_suite, make_suite


@pytest.fixture(params=NAMES)
def suite(request: pytest.FixtureRequest) -> Any:
    return load_suite(request.param)


def complete(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A suite as it is where every library is installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())
    return make_suite(name)


def test_names_are_unique_and_make_file_names(suite: Any) -> None:
    ids = [case.id for case in suite.cases]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z0-9_-]+", id_) for id_ in ids)


def test_a_benchmark_names_copies_and_lists_of_its_suite(suite: Any) -> None:
    roles = {case.id: case.role for case in suite.cases}
    for case in suite.cases:
        assert not case.copy or roles[case.copy] == "copy", case.id
        assert not case.legacy or roles[case.legacy] == "legacy", case.id


def test_every_suite_has_a_copy_by_one_thread_and_by_two(suite: Any) -> None:
    if not suite.cases:
        assert suite.missing  # it says why
        return
    copies = {case.threads for case in suite.cases if case.role == "copy"}
    without = jobs.copy_library().name in suite.missing
    assert copies in ({1, 2}, {1} if without else {1, 2})


def test_a_copy_that_was_not_built_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARROW_COPY", "/nowhere/libcopy.so")
    suite = make_suite("numpy_vs_legacy")
    assert "tools/setup benchmarks" in suite.missing["libcopy.so"]
    assert {case.threads for case in suite.cases if case.role == "copy"} == {1}


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_has_at_most_eight_lines(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = complete(name, monkeypatch).cases
    for chart in {case.chart for case in cases} - {"", "*"}:
        drawn = [case for case in cases if case.chart == chart]
        assert len({case.size_unit for case in drawn}) == 1, chart
        (unit,) = {case.size_unit for case in drawn}
        drawn += [case for case in cases if case.chart == "*" and case.size_unit == unit]
        lines = {case.line for case in drawn}
        assert len(lines) <= 8, f"{chart}: {sorted(lines)}"
        assert all(0 < len(line) <= 24 for line in lines), sorted(lines)
        places = [(case.line, case.size) for case in drawn]
        assert len(places) == len(set(places)), chart
        for line in lines:
            assert len([case for case in drawn if case.line == line]) >= 2, f"{chart}: {line}"


def test_what_targets_name_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    built = load_suite("kernels").cases
    monkeypatch.setenv("QUARROW_COPY", __file__)
    known = {f"{name}/{case.id}" for name in NAMES for case in complete(name, monkeypatch).cases}
    wanted = [(each.metric, id_) for each in read_targets() for id_ in (*each.of, each.baseline)]
    wanted += [(each.words, id_) for each in read_headlines() for id_ in (each.of, *each.beside)]
    for words, id_ in wanted:
        assert not id_ or id_ in known or (id_.startswith("kernels/") and not built), words
    assert len(read_headlines()) == 10


def test_a_target_names_a_peer_where_it_is_beside_one(monkeypatch: pytest.MonkeyPatch) -> None:
    suites = {name: complete(name, monkeypatch).cases for name in NAMES}
    peers = {f"{name}/{case.id}" for name in NAMES for case in suites[name] if case.role == "peer"}
    for target in read_targets():
        assert bool(target.peer) == (target.beside in peers), target.metric


@pytest.mark.parametrize("name", ["pauses", "numpy_vs_legacy"])
def test_what_is_cold_or_paused_stands_beside_nothing_that_is_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [case for case in complete(name, monkeypatch).cases if case.role in {"ours", "peer"}]
    apart = {case.id for case in cases if re.search("cold|after", case.id)}
    assert apart
    for case in cases:
        assert bool(case.copy) == (case.id not in apart), case.id
        assert not (case.id in apart and case.legacy), case.id


@pytest.mark.parametrize(
    "layers",
    [
        batch_overhead.layers_of("tiny", 100),
        batch_overhead.layers_of("real", 10),
        models.layers_of(models.arrays(models.LORAS["lora_sd15_r4"])),
    ],
)
def test_layers_of_a_batch_differ(layers: dict[str, Any]) -> None:
    assert len({w.tobytes() for w in layers.values()}) == len(layers)


def test_an_adapter_of_another_rank_has_other_shapes() -> None:
    (wide, narrow) = (models.LORAS[f"lora_sd15_r{rank}"] for rank in (128, 16))
    shapes = {tensor.name: tensor.shape for tensor in models.geometry(wide)}
    for tensor in models.geometry(narrow):
        expected = tuple(128 if size == 16 else size for size in tensor.shape)
        assert shapes[tensor.name] == expected, tensor.name
    assert 7 < wide.bytes / narrow.bytes <= 8


def test_a_strength_is_an_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [case.id for case in complete("online", monkeypatch).cases if "strength" in case.id]
    assert len(ids) == 2 * (9 + 3)
    assert all(id_.startswith("lora_") for id_ in ids)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 1000, 4097, 300_001])
def test_a_copy_is_whole(size: int, threads: int) -> None:
    if threads == 2 and missing_copy():
        pytest.skip(str(missing_copy()))
    layers = [np.arange(1, each + 1, dtype=np.float32) for each in (size, 5, 2 * size)]
    job = jobs.copy_job(layers, threads)
    for _ in range(3):
        job.verify(job.call())


def test_cold_calls_take_another_input_each_time() -> None:
    inputs = fixtures.cold_weights(4)
    assert sum(w.nbytes for w in inputs) > environment.last_level_cache_bytes()
    taken: list[int] = []
    call = jobs.in_turn([partial(taken.append, i) for i in range(len(inputs))])
    for _ in range(len(inputs) + 1):
        call()
    assert taken == [*range(len(inputs)), 0]


def test_pauses_are_before_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    jobs = {case.id: case.prepare() for case in load_suite("pauses").cases if case.role == "ours"}
    for id_, job in jobs.items():
        assert (job.before is not None) == ("after" in id_), id_
        if job.before:
            job.before()
    assert slept == [0.001, 0.001, 0.02, 0.02]


def test_arrays_are_read_where_it_is_said() -> None:
    layers = {f"{i}": np.full((2, 128), i + 1, np.float32) for i in range(3)}
    for way in (jobs.one_batch, jobs.single_calls):
        read = jobs.layers_job(partial(way, layers, "int4"), layers)
        result: Any = read.call()
        read.verify(result)
        assert read.whole
        assert [each[0] is not None for each in result[1]] == [True] * 3
        with pytest.raises(WrongResultError, match="0 layers were read"):
            read.verify((result[0], []))
        assert jobs.layers_job(partial(way, layers, "int4"), layers, read=False).call()[1] == []  # type: ignore[index]


def test_lists_of_a_layer_are_freed_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lists(list[float]):
        """Lists that a weak reference may name."""

    class Layer:
        def tolist(self) -> Lists:
            return Lists([1.0])

    made: list[weakref.ref[Lists]] = []
    alive: list[int] = []

    def quantize(layers: dict[str, Lists], bit_width: int) -> dict[str, int]:
        alive.append(sum(each() is not None for each in made))
        made.extend(weakref.ref(each) for each in layers.values())
        return dict.fromkeys(layers, bit_width)

    monkeypatch.setattr(qr.legacy, "quantize", quantize)
    jobs.one_list_at_a_time({"a": Layer(), "b": Layer(), "c": Layer()}, lambda *_: None)  # type: ignore[dict-item]
    assert alive == [0, 0, 0]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("written", [1, 5000, 9999])
def test_the_plain_program_reads_all_and_writes_what_is_asked(
    threads: int, written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, out = tmp_path / "in", tmp_path / "out"
    given.write_bytes(np.random.default_rng(0).bytes(10_000))
    read: list[int] = []
    preadv = os.preadv

    def noted(*arguments: Any) -> int:
        read.append(preadv(*arguments))
        return read[-1]

    monkeypatch.setattr(os, "preadv", noted)
    copy_plainly(given, out, written=written, sync=True, threads=threads)
    assert out.read_bytes() == given.read_bytes()[:written]
    assert sum(read) == 10_000 - written


W = np.random.default_rng(0).standard_normal((32, 256), np.float32)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "int4"},
        {"format": "int8"},
        {"format": "int8", "group_size": "tensor"},
        {"format": "int4", "group_size": "tensor", "packed": False},
        {"format": "int8_rowwise"},
        {"format": "int4", "symmetric": True},
        {"format": "int4", "group_size": 4},
    ],
)
@pytest.mark.parametrize("shape", [(32, 256), (8192,), (4, 8, 256)])
def test_a_right_result_passes_and_a_wrong_one_does_not(
    fields: dict[str, Any], shape: tuple[int, ...]
) -> None:
    w = W.reshape(shape)
    q = qr.quantize(w, **fields)
    verification.check_quantized(q, w)
    for part in ("codes", "scales", "zero_points"):
        array = getattr(q, part)
        if array is None:
            continue
        for place in (0, -1):
            before = array.flat[place]
            array.flat[place] = before + 1
            with pytest.raises(WrongResultError, match=part.replace("_", " ")):
                verification.check_quantized(q, w)
            array.flat[place] = before
    with pytest.raises(WrongResultError):
        verification.check_quantized(q, w.reshape(-1, 2))


def test_a_wrong_batch_does_not_pass() -> None:
    layers = {"first": W, "middle": W[:9], "last": 2 * W}
    right = {name: qr.quantize(w, "int4") for name, w in layers.items()}
    verification.check_layers(right, layers)
    for name, w in layers.items():
        with pytest.raises(WrongResultError, match="codes differ"):
            verification.check_layers({**right, name: qr.quantize(-w, "int4")}, layers)
    with pytest.raises(WrongResultError, match="2 layers instead of 3"):
        verification.check_layers({"first": right["first"], "last": right["last"]}, layers)


def test_a_batch_of_copies_of_its_first_layer_does_not_pass() -> None:
    layers = batch_overhead.layers_of("tiny", 10)
    first = next(iter(layers.values()))
    job = jobs.layers_job(
        lambda: jobs.one_batch(dict.fromkeys(layers, first), "int4"), layers, read=False
    )
    with pytest.raises(WrongResultError, match="codes differ"):
        job.verify(job.call())


def test_wrong_lists_do_not_pass() -> None:
    layers = {"a": W, "b": 2 * W}
    right = qr.legacy.quantize({name: w.tolist() for name, w in layers.items()}, bit_width=8)
    verification.check_lists(right, layers)
    for part in ("codes", "scales"):
        wrong = [0] * len(right["b"][part])
        with pytest.raises(WrongResultError, match=f"b: .*{part}"):
            verification.check_lists({**right, "b": {**right["b"], part: wrong}}, layers)
    with pytest.raises(WrongResultError, match="1 layers instead of 2"):
        verification.check_lists({"a": right["a"]}, layers)


@pytest.mark.parametrize(
    ("told", "codes", "said"),
    [
        (True, lambda where: 7, ""),
        (True, lambda where: where, "the result differs from the slowest target's"),
        (False, lambda where: 7, "it failed"),
    ],
)
def test_a_wrong_kernel_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, told: Any, codes: Callable[[int], int], said: str
) -> None:
    def quantize(
        _: int, where: int, kind: int, data: int, rows: int, out: int, threads: int
    ) -> Any:
        ctypes.memset(out, codes(where), rows * kernels.COLUMNS)
        return told

    library = SimpleNamespace(
        quarrow_kernels_targets=lambda: b"FAST SLOW ",
        quarrow_kernels_bytes=lambda _, kind, rows: rows * kernels.COLUMNS,
        quarrow_kernels_quantize=quantize,
    )
    monkeypatch.setattr(kernels, "_library", lambda: library)
    job = kernels._quantize("float16", 4, 0, 0, 1)
    if said:
        with pytest.raises(WrongResultError, match=said):
            job.verify(job.call())
    else:
        job.verify(job.call())
