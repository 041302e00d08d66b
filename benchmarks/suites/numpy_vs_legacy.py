# SPDX-License-Identifier: Apache-2.0
"""Arrays beside lists: int8 with one scale for the tensor, the same bytes both ways."""

import gc
from collections.abc import Iterator
from functools import partial
from typing import Any

import quarrow as qr

from benchmarks.fixtures import (
    SIZES,
    Array,
    cold_weights,
    copies,
    copy_id,
    in_turn,
    matrix_bytes,
    weights,
)
from benchmarks.harness.case import Case, Job, Suite
from benchmarks.verification import check_lists, check_quantized, require

ABOUT = (
    "One matrix [rows, 1024] of float32 becomes int8 with one scale and zero point. 'numpy'"
    " makes new arrays for the result, 'numpy into' writes arrays that exist (out=); 'cold'"
    " takes another input each time, from more memory than the cache holds. 'legacy' is what a"
    " program with a list API does: w.tolist(), then legacy.quantize; 'legacy call' has the"
    " lists already. Freeing the result is not in the time; it is the counter 'free'. Sizes are"
    " of the input."
)
# What a list call takes, about.
LEGACY_SECONDS_PER_MB = 0.05


def _quantize(w: Array, out: qr.QuantizedTensor | None = None) -> qr.QuantizedTensor:
    return qr.quantize(w, "int8", group_size="tensor", out=out, threads=2)


def _numpy(megabytes: int, *, into: bool, cold: bool) -> Job:
    inputs = cold_weights(megabytes) if cold else [weights(megabytes)]
    out = _quantize(inputs[0]) if into else None
    call = in_turn(partial(_quantize, out=out), inputs)

    def verify(result: Any) -> None:
        check_quantized(result, inputs[0])
        require(result.stats.bytes_copied == 0, "the input was copied")

    return Job(call, verify)


def _legacy(megabytes: int, *, lists_ready: bool, collect: bool = False) -> Job:
    w = weights(megabytes)
    ready = {"a": w.tolist()} if lists_ready else None

    def call() -> object:
        return qr.legacy.quantize(ready or {"a": w.tolist()}, bit_width=8)

    def with_collector() -> object:
        gc.enable()
        try:
            return call()
        finally:
            gc.disable()

    def verify(result: Any) -> None:
        check_lists(result, {"a": w})

    return Job(with_collector if collect else call, verify)


def _numpy_cases(megabytes: int) -> Iterator[Case]:
    out_bytes = matrix_bytes(megabytes) // 4
    for into in (False, True):
        for cold in (False, True):
            name = "numpy" + "_into" * into
            yield Case(
                id=f"{name}_{megabytes}mb" + "_cold" * cold,
                title=f"quantize, {'existing' if into else 'new'} memory, {megabytes} MB"
                + ", cold input" * cold,
                prepare=partial(_numpy, megabytes, into=into, cold=cold),
                line=name.replace("_", " ") + ", cold" * cold,
                size=megabytes,
                bytes=matrix_bytes(megabytes),
                threads=2,
                copy=copy_id(megabytes),
                legacy=f"legacy_{megabytes}mb",
                job=f"int8 of one scale, {megabytes} MB",
                memory=None if cold else (0 if into else out_bytes),
            )


def _legacy_case(megabytes: int, id_: str, title: str, line: str, **how: bool) -> Case:
    return Case(
        id=id_,
        title=f"{title}, {megabytes} MB",
        prepare=partial(_legacy, megabytes, **{"lists_ready": False, **how}),
        role="legacy",
        line=line,
        size=megabytes,
        bytes=matrix_bytes(megabytes),
        copy=copy_id(megabytes),
        job=f"int8 of one scale, {megabytes} MB",
        seconds=LEGACY_SECONDS_PER_MB * megabytes,
    )


def _cases() -> Iterator[Case]:
    yield from copies()
    for megabytes in SIZES:
        yield from _numpy_cases(megabytes)
    for megabytes in SIZES:
        name = f"legacy_{megabytes}mb"
        yield _legacy_case(megabytes, name, "tolist and legacy.quantize", "legacy")
    for megabytes in SIZES[:2]:
        yield _legacy_case(
            megabytes,
            f"legacy_call_{megabytes}mb",
            "legacy.quantize of lists that exist",
            "legacy call",
            lists_ready=True,
        )
    yield _legacy_case(
        4,
        "legacy_4mb_with_collector",
        "tolist and legacy.quantize with garbage collection on",
        "",
        collect=True,
    )


def suite() -> Suite:
    """Return the suite."""
    return Suite("numpy_vs_legacy", "Arrays beside lists", ABOUT, tuple(_cases()))
