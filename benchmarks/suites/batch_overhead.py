# SPDX-License-Identifier: Apache-2.0
"""What a layer costs in a batch, in calls of its own, and through lists."""

import functools
import math
from collections.abc import Callable, Iterator
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
from benchmarks.harness.case import Case, Job, Suite
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
COUNTS = (1, 10, 100, 1000)
TINY_VALUES = 256_000
# Down and up of attention and of its MLP in a model of 3,072 channels.
REAL_SHAPES = [(16, 3072), (3072, 16), (16, 12288), (12288, 16), (16, 3072), (9216, 16)]
# The copies nearest to them in bytes: 0.46 MB a layer.
REAL_COPIES = {10: 4, 100: 40, 1000: 400}
TORCH = is_installed("torch")
# The id's beginning, the title, the line, whether as torch tensors.
WAYS = (
    ("batch", "one batch", one_batch, False),
    ("single", "a call for each", single_calls, False),
    *((("batch", "one batch of torch tensors", one_batch, True),) if TORCH else ()),
)


@functools.cache
def tiny_layers(count: int) -> dict[str, Array]:
    """Return layers of one size, of TINY_VALUES together."""
    return random_layers([(TINY_VALUES // count,)] * count)


def real_shapes(count: int) -> list[tuple[int, int]]:
    """Return the shapes of layers of an adapter."""
    return [REAL_SHAPES[i % len(REAL_SHAPES)] for i in range(count)]


@functools.cache
def real_layers(count: int) -> dict[str, Array]:
    """Return the layers of an adapter."""
    return random_layers(real_shapes(count))


def _layers(make: Callable[[], Layers], way: Any, threads: int, *, read: bool, torch: bool) -> Job:
    layers = make()
    given = tensors(layers) if torch else layers
    return layers_job(partial(way, given, "int4", threads=threads), layers, read=read)


def _copy(make: Callable[[], Layers]) -> Job:
    return copy_job(list(make().values()))


def _lists(count: int) -> Job:
    return list_job(tiny_layers(count), bits=4, ready=True)


def _whole(count: int) -> Job:
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


def _cases_of(
    kind: str, count: int, make: Callable[[], Layers], memory: int | None = None, **common: Any
) -> Iterator[Case]:
    """Return every way of some layers, quantized and read, and their copy."""
    of = partial(Case, size=count, size_unit="layers", chart=kind, **common)
    for name, words, way, torch in WAYS:
        for read in (False, True):
            line = f"{'batch' if name == 'batch' else 'calls'}{', torch' * torch}{', read' * read}"
            yield of(
                id=f"{name}_{count}_{kind}" + "_torch" * torch + "_read" * read,
                title=f"{words}, {common['job']}" + ", every array read" * read,
                prepare=partial(_layers, make, way, common["threads"], read=read, torch=torch),
                line=line,
                memory=memory if way is one_batch and not (torch or read) else None,
            )
    copied: dict[str, Any] = {"threads": 1, "copy": "", "legacy": "", "job": "", "calls": 1}
    yield Case(
        **{"size": count, "size_unit": "layers", "chart": kind, **common, **copied},
        id=f"copy_{count}_{kind}",
        title=f"np.copyto, a call for each, {common['job']}",
        prepare=partial(_copy, make),
        role="copy",
        package="numpy",
        line="np.copyto of each",
    )


def _tiny(count: int) -> Iterator[Case]:
    common: dict[str, Any] = {
        "bytes": 4 * TINY_VALUES,
        "copy": "copy_1mb",
        "job": f"1 MB in {count} layers",
    }
    yield from _cases_of(
        "tiny",
        count,
        partial(tiny_layers, count),
        **common,
        threads=1,
        calls=max(1, 10 // count),
        legacy=f"lists_{count}_tiny",
    )
    yield Case(
        **common,
        id=f"lists_{count}_tiny",
        title=f"legacy.quantize of lists, 1 MB in {count} layers",
        prepare=partial(_lists, count),
        role="legacy",
        chart="tiny",
        line="lists",
        size=count,
        size_unit="layers",
    )


def _real(count: int) -> Iterator[Case]:
    bytes_ = sum(4 * math.prod(shape) for shape in real_shapes(count))
    common: dict[str, Any] = {
        "bytes": bytes_,
        "copy": copy_id(REAL_COPIES[count]),
        "job": f"{count} layers of an adapter",
        "threads": 2,
    }
    # Codes, scales and zero points; narrow layers have a scale for every 16 values.
    memory = bytes_ // 8 + bytes_ // 64 * 5 if count == 1000 else None
    yield from _cases_of("real", count, partial(real_layers, count), memory, **common)
    yield Case(
        **common,
        id=f"whole_{count}_real",
        title=f"the rows of {count} layers of an adapter, a tensor for each width",
        prepare=partial(_whole, count),
        chart="real",
        line="a tensor for each width",
        size=count,
        size_unit="layers",
    )


def _cases() -> Iterator[Case]:
    yield from copies((1, *REAL_COPIES.values()), chart="")
    for count in COUNTS:
        yield from _tiny(count)
    for count in COUNTS[1:]:
        yield from _real(count)


def suite() -> Suite:
    """Return the suite."""
    missing = missing_copy() | ({} if TORCH else {"torch": "not installed: no batches of tensors"})
    return Suite("batch_overhead", "Many layers in one call", ABOUT, tuple(_cases()), missing)
