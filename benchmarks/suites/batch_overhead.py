# SPDX-License-Identifier: Apache-2.0
"""What a layer costs in a batch, in calls of its own, and through lists."""

import functools
import importlib
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.fixtures import Array, copies, copy_id
from benchmarks.harness.case import Case, Job, Suite
from benchmarks.verification import check_layers, check_lists, check_quantized, require

ABOUT = (
    "Layers become int4 in groups of 128. 'tiny': 1 MB in all, cut into 1, 10, 100 or 1000"
    " layers, one thread, so that only the number of layers differs; what 100 layers cost beyond"
    " one is the overhead. 'real': the layers of a LoRA of rank 16, two threads, beside"
    " their rows in a tensor for each width. Making the dict is a part of a batch call. 'torch'"
    " gives the same layers as tensors."
)
COUNTS = (1, 10, 100, 1000)
TINY_VALUES = 256_000
# Down and up of attention and of its MLP in a model of 3,072 channels.
REAL_SHAPES = [(16, 3072), (3072, 16), (16, 12288), (12288, 16), (16, 3072), (9216, 16)]
# The copies nearest to them in bytes: 0.46 MB a layer.
REAL_COPIES = {10: 4, 100: 40, 1000: 400}
TORCH = importlib.util.find_spec("torch") is not None

Layers = dict[str, Array]


@functools.cache
def tiny_layers(count: int) -> Layers:
    """Return layers of one size, of TINY_VALUES together."""
    whole = np.random.default_rng(count).standard_normal(TINY_VALUES, np.float32)
    return {f"layers.{i}.weight": part for i, part in enumerate(np.split(whole, count))}


@functools.cache
def real_layers(count: int) -> Layers:
    """Return layers of the shapes of an adapter."""
    random = np.random.default_rng(count)
    shapes = [REAL_SHAPES[i % len(REAL_SHAPES)] for i in range(count)]
    return {
        f"layers.{i}.weight": random.standard_normal(shape, np.float32)
        for i, shape in enumerate(shapes)
    }


def tensors(layers: Layers) -> dict[str, Any]:
    """Return the same layers as torch tensors over the same memory."""
    torch = importlib.import_module("torch")
    return {name: torch.from_numpy(w) for name, w in layers.items()}


def _batch(layers: Mapping[str, object], threads: int) -> qr.BatchResult:
    return qr.quantize_batch(dict(layers), "int4", threads=threads)


def _one_by_one(layers: Layers, threads: int) -> dict[str, qr.QuantizedTensor]:
    return {name: qr.quantize(w, "int4", name=name, threads=threads) for name, w in layers.items()}


def _stats_of_each(result: Any) -> list[Any]:
    return [q.stats for q in result.values()]


def _batch_job(make: Callable[[], Layers], threads: int, *, as_torch: bool = False) -> Job:
    layers = make()
    given: Mapping[str, object] = tensors(layers) if as_torch else layers

    def verify(result: Any) -> None:
        check_layers(result, layers)
        require(result.stats.bytes_copied == 0, "a layer was copied")

    return Job(partial(_batch, given, threads), verify)


def _single_job(make: Callable[[], Layers], threads: int) -> Job:
    layers = make()
    return Job(
        partial(_one_by_one, layers, threads),
        lambda result: check_layers(result, layers),
        _stats_of_each,
    )


def _list_job(count: int) -> Job:
    layers = tiny_layers(count)
    lists = {name: w.tolist() for name, w in layers.items()}
    return Job(
        lambda: qr.legacy.quantize(lists, bit_width=4), lambda result: check_lists(result, layers)
    )


def _whole_job(count: int) -> Job:
    """Return the same rows in as few tensors as there are widths: the same work for the kernels."""
    layers = list(real_layers(count).values())
    wholes = [
        np.concatenate([w for w in layers if w.shape[1] == width])
        for width in sorted({w.shape[1] for w in layers})
    ]

    def call() -> list[qr.QuantizedTensor]:
        return [qr.quantize(w, "int4", threads=2) for w in wholes]

    def verify(result: list[qr.QuantizedTensor]) -> None:
        for q, w in zip(result, wholes, strict=True):
            check_quantized(q, w)

    return Job(call, verify, lambda result: [q.stats for q in result])


def _real_bytes(count: int) -> int:
    return sum(4 * math.prod(REAL_SHAPES[i % len(REAL_SHAPES)]) for i in range(count))


def _copy_job(make: Callable[[], Layers]) -> Job:
    layers = make()
    targets = {name: np.zeros_like(w) for name, w in layers.items()}

    def call() -> object:
        for name, w in layers.items():
            np.copyto(targets[name], w)
        return targets

    def verify(result: Any) -> None:
        same = all(np.array_equal(result[name], w) for name, w in layers.items())
        require(same, "the copy differs from its source")

    return Job(call, verify, lambda _: [])


def _tiny_cases(count: int) -> Iterator[Case]:
    make = partial(tiny_layers, count)
    case = partial(
        Case,
        size=count,
        size_unit="layers",
        bytes=4 * TINY_VALUES,
        calls=max(1, 10 // count),
        copy="copy_1mb",
        legacy=f"lists_{count}_tiny",
        job=f"int4, 1 MB in {count} layers",
    )
    yield case(
        id=f"batch_{count}_tiny",
        title=f"one batch, 1 MB in {count} layers",
        prepare=partial(_batch_job, make, 1),
        line="batch, tiny",
    )
    yield case(
        id=f"single_{count}_tiny",
        title=f"{count} calls, 1 MB in {count} layers",
        prepare=partial(_single_job, make, 1),
        line="calls, tiny",
    )
    if TORCH:
        yield case(
            id=f"batch_{count}_tiny_torch",
            title=f"one batch of torch tensors, 1 MB in {count} layers",
            prepare=partial(_batch_job, make, 1, as_torch=True),
            line="batch of torch tensors, tiny",
        )
    yield case(
        id=f"copy_{count}_tiny",
        title=f"np.copyto, a call for each layer, 1 MB in {count} layers",
        prepare=partial(_copy_job, make),
        role="copy",
        package="numpy",
        line="np.copyto of each, tiny",
        copy="",
        legacy="",
        job="",
    )
    yield case(
        id=f"lists_{count}_tiny",
        title=f"legacy.quantize of lists, 1 MB in {count} layers",
        prepare=partial(_list_job, count),
        role="legacy",
        line="lists, tiny",
        calls=1,
        legacy="",
    )


def _real_cases(count: int) -> Iterator[Case]:
    make = partial(real_layers, count)
    count_bytes = _real_bytes(count)
    case = partial(
        Case,
        size=count,
        size_unit="layers",
        bytes=count_bytes,
        threads=2,
        copy=copy_id(REAL_COPIES[count]),
        job=f"int4, {count} layers of an adapter",
    )
    yield case(
        id=f"batch_{count}_real",
        title=f"one batch, {count} layers of an adapter",
        prepare=partial(_batch_job, make, 2),
        line="batch, real",
        # Codes, scales and zero points; narrow layers have a scale for every 16 values.
        memory=count_bytes // 8 + count_bytes // 64 * 5 if count == 1000 else None,
    )
    yield case(
        id=f"single_{count}_real",
        title=f"{count} calls, {count} layers of an adapter",
        prepare=partial(_single_job, make, 2),
        line="calls, real",
    )
    yield case(
        id=f"copy_{count}_real",
        title=f"np.copyto, a call for each of {count} layers of an adapter",
        prepare=partial(_copy_job, make),
        role="copy",
        package="numpy",
        line="np.copyto of each, real",
        threads=1,
        copy="",
        job="",
    )
    yield case(
        id=f"whole_{count}_real",
        title=f"the rows of {count} layers of an adapter, a tensor for each width",
        prepare=partial(_whole_job, count),
        line="a tensor for each width, real",
    )


def _cases() -> Iterator[Case]:
    yield from copies((1, *REAL_COPIES.values()))
    for count in COUNTS:
        yield from _tiny_cases(count)
    for count in COUNTS[1:]:
        yield from _real_cases(count)


def suite() -> Suite:
    """Return the suite."""
    missing = {} if TORCH else {"torch": "not installed: no batches of tensors"}
    return Suite("batch_overhead", "Many layers in one call", ABOUT, tuple(_cases()), missing)
