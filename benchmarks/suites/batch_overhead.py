# SPDX-License-Identifier: Apache-2.0
"""Many layers in one call.

Layers become int4 in groups of 128. 'tiny': 1 MB in all, cut into 1, 10, 100 or 1000 layers, one
thread, so that only the number of layers differs; what 100 layers cost beyond one is the overhead.
'real': the layers of a LoRA of rank 16, two threads, beside their rows in a tensor for each width.
Making the dict is a part of a batch call. A batch makes an array when it is read: 'read' goes on
until codes, scales and zero points of every layer are in the caller's hands, and that is what is
judged. 'torch' gives the same layers as tensors. The lists of 'lists' become int4 with one scale
for each layer.
"""

import functools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.cases import copies, missing_copy
from benchmarks.fixtures import Array, Layers, is_installed, random_layers, tensors
from benchmarks.harness.case import Case, Job
from benchmarks.jobs import copy_job, layers_job, list_job, one_batch, single_calls
from benchmarks.verification import check_quantized

TINY_VALUES = 256_000
# Down and up of attention and of its MLP in a model of 3,072 channels.
REAL_SHAPES = [(16, 3072), (3072, 16), (16, 12288), (12288, 16), (16, 3072), (9216, 16)]
# The kind of layers, how many, the copies nearest to them in bytes, how many threads.
KINDS = (
    ("tiny", {1: 1, 10: 1, 100: 1, 1000: 1}, 1),
    ("real", {10: 4, 100: 40, 1000: 400}, 2),
)


def shapes(kind: str, count: int) -> list[tuple[int, ...]]:
    """Return the shapes of so many layers: of one size, or those of an adapter."""
    if kind == "tiny":
        return [(TINY_VALUES // count,)] * count
    return [REAL_SHAPES[i % len(REAL_SHAPES)] for i in range(count)]


@functools.cache
def layers_of(kind: str, count: int) -> dict[str, Array]:
    return random_layers(shapes(kind, count))


def _ours(
    layers: Layers, threads: int, *, way: Any = one_batch, read: bool = False, torch: bool = False
) -> Job:
    given = tensors(layers) if torch else layers
    return layers_job(partial(way, given, "int4", threads=threads), layers, read=read)


def _copy(layers: Layers, threads: int) -> Job:
    return copy_job(list(layers.values()), threads)


def _lists(layers: Layers, threads: int) -> Job:
    return list_job(layers, bits=4, ready=True)


def _whole(layers: Layers, threads: int) -> Job:
    """Return the same rows in as few tensors as there are widths: the same work for the kernels."""
    wholes = [
        np.concatenate([w for w in layers.values() if w.shape[1] == width])
        for width in sorted({w.shape[1] for w in layers.values()})
    ]

    def call() -> list[qr.QuantizedTensor]:
        return [qr.quantize(w, "int4", threads=threads) for w in wholes]

    def verify(result: list[qr.QuantizedTensor]) -> None:
        for q, w in zip(result, wholes, strict=True):
            check_quantized(q, w)

    return Job(call, verify, lambda result: [q.stats for q in result])


# The id's begin and end, the words, the chart's line, from layers and threads to the job. A batch
# is measured with layers of both kinds, lists with tiny ones, whole tensors with real ones.
WAYS: tuple[tuple[str, str, str, str, Callable[[Layers, int], Job]], ...] = (
    ("batch", "", "one batch", "batch", _ours),
    ("batch", "_read", "one batch, every array read", "batch, read", partial(_ours, read=True)),
    ("single", "", "a call for each", "calls", partial(_ours, way=single_calls)),
    ("single", "_read", "a call for each, every array read", "calls, read",
     partial(_ours, way=single_calls, read=True)),
    ("batch", "_torch", "one batch of torch tensors", "batch, torch", partial(_ours, torch=True)),
    ("batch", "_torch_read", "one batch of torch tensors, every array read", "batch, torch, read",
     partial(_ours, torch=True, read=True)),
    ("copy", "", "np.copyto of each", "np.copyto of each", _copy),
    ("lists", "", "legacy.quantize of lists", "lists", _lists),
    ("whole", "", "their rows in a tensor for each width", "a tensor for each width", _whole),
)  # fmt: skip


def _job(way: Callable[[Layers, int], Job], kind: str, count: int, threads: int) -> Job:
    return way(layers_of(kind, count), threads)


def _cases_of(kind: str, count: int, copied: int, most_threads: int) -> Iterator[Case]:
    bytes_ = sum(4 * math.prod(shape) for shape in shapes(kind, count))
    for name, ending, words, line, way in WAYS:
        if {"lists": "tiny", "whole": "real"}.get(name, kind) != kind:
            continue
        if "torch" in ending and not is_installed("torch"):
            continue
        is_copy, ours = name == "copy", name not in {"copy", "lists"}
        tiny = ours and kind == "tiny"
        threads = most_threads if ours else 1
        # Codes, scales and zero points; narrow layers have a scale for every 16 values.
        proven = (name + ending, kind, count) == ("batch", "real", 1000)
        yield Case(
            id=f"{name}_{count}_{kind}{ending}",
            title=f"{count} {kind} layers: {words}",
            prepare=partial(_job, way, kind, count, threads),
            role="copy" if is_copy else "ours" if ours else "legacy",
            package="numpy" if is_copy else "quarrow",
            chart=kind,
            line=line,
            size=count,
            size_unit="layers",
            bytes=bytes_,
            threads=threads,
            calls=max(1, 10 // count) if tiny else 1,
            copy="" if is_copy else f"copy_{copied}mb",
            legacy=f"lists_{count}_tiny" if tiny else "",
            job="" if is_copy else f"int4, {count} {kind} layers",
            memory=bytes_ // 8 + bytes_ // 64 * 5 if proven else None,
        )


def cases() -> Iterator[Case]:
    yield from copies((1, 4, 40, 400), chart="")
    for kind, counts, threads in KINDS:
        for count, copied in counts.items():
            yield from _cases_of(kind, count, copied, threads)


def missing() -> dict[str, str]:
    absent = {} if is_installed("torch") else {"torch": "not installed: no batches of tensors"}
    return missing_copy() | absent
