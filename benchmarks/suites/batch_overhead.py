# SPDX-License-Identifier: Apache-2.0
"""What a layer costs in a batch, in calls of its own, and through lists."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.array_peers import is_installed
from benchmarks.fixtures import (
    Array,
    copies,
    copy_id,
    copy_job,
    missing_copy,
    random_layers,
    tensors,
)
from benchmarks.harness.case import Case, Job, Role, Suite
from benchmarks.jobs import Layers, layers_job, list_job, one_batch, single_calls
from benchmarks.verification import check_quantized

ABOUT = (
    "Layers become int4 in groups of 128. 'tiny': 1 MB in all, cut into 1, 10, 100 or 1000"
    " layers, one thread, so that only the number of layers differs; what 100 layers cost beyond"
    " one is the overhead. 'real': the layers of a LoRA of rank 16, two threads, beside"
    " their rows in a tensor for each width. Making the dict is a part of a batch call. A batch"
    " makes an array when it is read: 'read' goes on until codes, scales and zero points of every"
    " layer are in the caller's hands, and that is what is judged. 'torch' gives the same layers"
    " as tensors. The lists of 'lists' become int4 with one scale for each layer."
)
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
    """Return layers, all of them different."""
    return random_layers(shapes(kind, count))


def _ours(
    layers: Layers, threads: int, *, way: Any = one_batch, read: bool = False, torch: bool = False
) -> Job:
    given = tensors(layers) if torch else layers
    return layers_job(partial(way, given, "int4", threads=threads), layers, read=read)


def _copy(layers: Layers, threads: int) -> Job:
    del threads
    return copy_job(list(layers.values()))


def _lists(layers: Layers, threads: int) -> Job:
    del threads
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


@dataclass(frozen=True)
class Way:
    """A way to quantize many layers; `kinds` are those that it is measured with."""

    name: str
    ending: str
    words: str
    line: str
    job: Callable[[Layers, int], Job]
    role: Role = "ours"
    package: str = "quarrow"
    kinds: tuple[str, ...] = ("tiny", "real")


# fmt: off
WAYS = (
    Way("batch", "", "one batch", "batch", _ours),
    Way("batch", "_read", "one batch, every array read", "batch, read", partial(_ours, read=True)),
    Way("single", "", "a call for each", "calls", partial(_ours, way=single_calls)),
    Way("single", "_read", "a call for each, every array read", "calls, read",
        partial(_ours, way=single_calls, read=True)),
    Way("batch", "_torch", "one batch of torch tensors", "batch, torch",
        partial(_ours, torch=True)),
    Way("batch", "_torch_read", "one batch of torch tensors, every array read",
        "batch, torch, read", partial(_ours, torch=True, read=True)),
    Way("copy", "", "np.copyto of each", "np.copyto of each", _copy, "copy", "numpy"),
    Way("lists", "", "legacy.quantize of lists", "lists", _lists, "legacy", kinds=("tiny",)),
    Way("whole", "", "their rows in a tensor for each width", "a tensor for each width", _whole,
        kinds=("real",)),
)
# fmt: on


def _job(way: Way, kind: str, count: int, threads: int) -> Job:
    return way.job(layers_of(kind, count), threads)


def _cases_of(kind: str, count: int, copied: int, threads: int) -> Iterator[Case]:
    bytes_ = sum(4 * math.prod(shape) for shape in shapes(kind, count))
    for way in WAYS:
        if kind not in way.kinds or ("torch" in way.ending and not is_installed("torch")):
            continue
        ours, is_copy = way.role == "ours", way.role == "copy"
        # Codes, scales and zero points; narrow layers have a scale for every 16 values.
        proven = (way.name + way.ending, kind, count) == ("batch", "real", 1000)
        yield Case(
            id=f"{way.name}_{count}_{kind}{way.ending}",
            title=f"{count} {kind} layers: {way.words}",
            prepare=partial(_job, way, kind, count, threads),
            role=way.role,
            package=way.package,
            chart=kind,
            line=way.line,
            size=count,
            size_unit="layers",
            bytes=bytes_,
            threads=threads if ours else 1,
            calls=max(1, 10 // count) if ours and kind == "tiny" else 1,
            copy="" if is_copy else copy_id(copied),
            legacy=f"lists_{count}_tiny" if ours and kind == "tiny" else "",
            job="" if is_copy else f"int4, {count} {kind} layers",
            memory=bytes_ // 8 + bytes_ // 64 * 5 if proven else None,
        )


def _cases() -> Iterator[Case]:
    yield from copies((1, 4, 40, 400), chart="")
    for kind, counts, threads in KINDS:
        for count, copied in counts.items():
            yield from _cases_of(kind, count, copied, threads)


def suite() -> Suite:
    """Return the suite."""
    absent = {} if is_installed("torch") else {"torch": "not installed: no batches of tensors"}
    title = "Many layers in one call"
    return Suite("batch_overhead", title, ABOUT, tuple(_cases()), missing_copy() | absent)
