# SPDX-License-Identifier: Apache-2.0
"""What several suites time: an array, many layers, lists, and a copy beside them."""

import ctypes
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.fixtures import Array, Layers
from benchmarks.harness.case import Job, no_stats
from benchmarks.verification import check_layers, check_lists, check_quantized, require

Quantized = Mapping[str, qr.QuantizedTensor]
COPY_LIBRARY = Path(__file__).parents[1] / "build/bench/libquarrow_copy.so"


def in_turn(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """Return what makes the next of some calls each time; one call stays what it is."""
    endless = itertools.cycle(calls)

    def call() -> object:
        return next(endless)()

    return calls[0] if len(calls) == 1 else call


def quantize_job(inputs: Sequence[Any], format_: str, *, into: bool = False, **fields: Any) -> Job:
    """Return the job of one array, or of several in turn; `into` writes memory that exists."""
    w = inputs[0]
    if into:
        fields["out"] = qr.quantize(w, format_, **fields)

    def verify(result: Any) -> None:
        check_quantized(result, w)
        require(result.stats.bytes_copied == 0, "the input was copied")

    return Job(in_turn([partial(qr.quantize, each, format_, **fields) for each in inputs]), verify)


def read_job(w: Any, format_: str) -> Job:
    """Return the job of one array until every array of its result is in the caller's hands."""

    def call() -> object:
        q = qr.quantize(w, format_)
        return q, q.codes, q.scales, q.zero_points

    return Job(call, lambda result: check_quantized(result[0], w), lambda result: [result[0].stats])


def one_batch(layers: Mapping[str, Any], format_: str, **fields: Any) -> Any:
    """Quantize layers by one call; making its dict is a part of that."""
    return qr.quantize_batch(dict(layers), format_, **fields)


def single_calls(layers: Mapping[str, Any], format_: str, **fields: Any) -> Quantized:
    return {name: qr.quantize(w, format_, name=name, **fields) for name, w in layers.items()}


def in_hand(layers: Quantized) -> list[tuple[Any, Any, Any]]:
    """Return every array of every layer: a batch makes them when they are read."""
    return [(q.codes, q.scales, q.zero_points) for q in layers.values()]


def stats_of(layers: Quantized) -> list[Any]:
    """Return the stamps of a batch, or those of the calls for each layer."""
    stats = getattr(layers, "stats", None)
    return [q.stats for q in layers.values()] if stats is None else [stats]


def layers_job(way: Callable[[], Quantized], layers: Layers, *, read: bool = True) -> Job:
    """Return the job of many layers, up to the moment that their arrays have been read or not.

    The caller waits for all of it: the binding's share is of the whole.
    """

    def call() -> object:
        result = way()
        return result, in_hand(result) if read else []

    def verify(result: Any) -> None:
        quantized, arrays = result
        check_layers(quantized, layers)
        require(len(arrays) == len(layers) * read, f"{len(arrays)} layers were read")
        copied = sum(stats.bytes_copied for stats in stats_of(quantized))
        require(copied == 0, "a layer was copied")

    return Job(call, verify, lambda result: stats_of(result[0]), whole=True)


def list_job(layers: Layers, *, bits: int = 8, ready: bool = False) -> Job:
    """Return the job of a program with a list API: tolist, then the call; or the call alone."""
    given = {name: w.tolist() for name, w in layers.items()} if ready else None

    def call() -> object:
        lists = given or {name: w.tolist() for name, w in layers.items()}
        return qr.legacy.quantize(lists, bit_width=bits)

    return Job(call, lambda result: check_lists(result, layers))


def one_list_at_a_time(layers: Layers, keep: Callable[[str, Any], object]) -> None:
    """Quantize a model by lists as its memory allows: those of a layer go before the next come."""
    for name, w in layers.items():
        keep(name, qr.legacy.quantize({name: w.tolist()}, bit_width=8)[name])


def copy_library() -> Path:
    """Return where the copy by two threads is; QUARROW_COPY names another place."""
    return Path(os.environ.get("QUARROW_COPY", COPY_LIBRARY))


def copy_job(layers: Sequence[Array], threads: int = 1) -> Job:
    """Return the job that copies arrays: np.copyto by one thread, a program in C++ by two."""
    targets = [np.zeros_like(w) for w in layers]
    both = list(zip(targets, layers, strict=True))
    if threads == 2:
        copy = ctypes.CDLL(str(copy_library())).quarrow_copy
        copy.argtypes, copy.restype = [ctypes.c_void_p, ctypes.c_size_t], None
        # Address, address, bytes.
        pieces = np.array([(to.ctypes.data, w.ctypes.data, w.nbytes) for to, w in both], np.uint64)
        total = sum(w.nbytes for w in layers)

    def call() -> object:
        if threads == 2:
            copy(pieces.ctypes.data, total)
        else:
            for to, w in both:
                np.copyto(to, w)
        return targets

    def verify(result: Any) -> None:
        same = all(np.array_equal(*each) for each in zip(result, layers, strict=True))
        require(same, "the copy differs from its source")

    return Job(call, verify, no_stats)
