# SPDX-License-Identifier: Apache-2.0
"""Arrays beside lists: int8 with one scale for the tensor, the same bytes both ways."""

import gc
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.fixtures import (
    SIZES,
    cold_weights,
    copies,
    matrix_bytes,
    missing_copy,
    no_stats,
    sized,
    weights,
)
from benchmarks.harness.case import Case, Job, Role, Suite
from benchmarks.jobs import list_job, quantize_job

ABOUT = (
    "One matrix [rows, 1024] of float32 becomes int8 with one scale and zero point. 'numpy'"
    " makes new arrays for the result, 'numpy into' writes arrays that exist (out=); 'cold'"
    " takes another input each time, from more memory than the cache holds. 'legacy' is what a"
    " program with a list API does: w.tolist(), then legacy.quantize; 'legacy call' has the"
    " lists already, 'tolist' makes them and nothing else. Freeing the result is not in the time;"
    " it is the counter 'free'. Sizes are"
    " of the input."
)
# What tolist and a list call take together, about.
LEGACY_SECONDS_PER_MB = 0.012
# The id's beginning, the words, whether memory exists, whether the input is out of the caches.
NUMPY = (
    ("numpy", "quantize, new memory", False, False),
    ("numpy_into", "quantize, existing memory", True, False),
    ("numpy_cold", "quantize, new memory, cold input", False, True),
    ("numpy_into_cold", "quantize, existing memory, cold input", True, True),
)


def _numpy(megabytes: int, *, into: bool, cold: bool) -> Job:
    inputs = cold_weights(megabytes) if cold else [weights(megabytes)]
    return quantize_job(inputs, "int8", into=into, group_size="tensor", threads=2)


def _lists(megabytes: int, *, ready: bool = False) -> Job:
    return list_job({"a": weights(megabytes)}, ready=ready)


def _with_collector(megabytes: int) -> Job:
    job = _lists(megabytes)

    def call() -> object:
        gc.enable()
        try:
            return job.call()
        finally:
            gc.disable()

    return Job(call, job.verify)


# The id's beginning, the words, from MB to the job, the role, the sizes.
LISTS: tuple[tuple[str, str, Callable[[int], Job], Role, tuple[int, ...]], ...] = (
    ("legacy", "tolist and legacy.quantize", _lists, "legacy", SIZES),
    ("legacy_call", "legacy.quantize of lists that exist", partial(_lists, ready=True),
     "legacy", SIZES[:2]),
    ("legacy_with_collector", "tolist and legacy.quantize with garbage collection on",
     _with_collector, "legacy", SIZES[:1]),
    ("tolist", "w.tolist() alone", lambda mb: Job(weights(mb).tolist, stats=no_stats), "control",
     SIZES[:2]),
)  # fmt: skip


def _cases() -> Iterator[Case]:
    yield from copies()
    for megabytes in SIZES:
        common = sized(megabytes) | {"chart": "time", "job": f"int8 of one scale, {megabytes} MB"}
        for name, words, into, cold in NUMPY:
            result = 0 if into else matrix_bytes(megabytes) // 4
            yield Case(
                **common,
                id=f"{name.removesuffix('_cold')}_{megabytes}mb" + "_cold" * cold,
                title=f"{words}, {megabytes} MB",
                prepare=partial(_numpy, megabytes, into=into, cold=cold),
                line=name.replace("_", " "),
                threads=2,
                legacy=f"legacy_{megabytes}mb",
                memory=None if cold else result,
            )
        for name, words, lists, role, sizes in LISTS:
            if megabytes in sizes:
                yield Case(
                    **common | ({} if name == "legacy" else {"chart": "", "job": ""}),
                    id=f"{name}_{megabytes}mb",
                    title=f"{words}, {megabytes} MB",
                    prepare=partial(lists, megabytes),
                    role=role,
                    package="numpy" if role == "control" else "quarrow",
                    line=name.replace("_", " "),
                    seconds=LEGACY_SECONDS_PER_MB * megabytes,
                    alone=megabytes == max(SIZES),
                )


def suite() -> Suite:
    """Return the suite."""
    title = "Arrays beside lists"
    return Suite("numpy_vs_legacy", title, ABOUT, tuple(_cases()), missing_copy())
