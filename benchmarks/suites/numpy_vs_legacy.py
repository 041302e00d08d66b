# SPDX-License-Identifier: Apache-2.0
"""Arrays beside lists.

One matrix [rows, 1024] of float32 becomes int8 with one scale and zero point. 'numpy' makes new
arrays for the result, 'numpy into' writes arrays that exist (out=); 'cold' takes another input each
time, from more memory than the cache holds. 'legacy' is what a program with a list API does:
w.tolist(), then legacy.quantize; 'legacy call' has the lists already, 'tolist' makes them and
nothing else. Freeing the result is not in the time; it is the counter 'free'. Sizes are of the
input.
"""

import gc
from collections.abc import Iterator
from functools import partial

from benchmarks.cases import case_of_size, copies, missing_copy
from benchmarks.fixtures import SIZES, cold_weights, matrix_bytes, weights
from benchmarks.harness.case import Case, Job, no_stats
from benchmarks.jobs import list_job, quantize_job

missing = missing_copy
# What tolist and a list call take together, about.
LEGACY_SECONDS_PER_MB = 0.012


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


def _tolist(megabytes: int) -> Job:
    return Job(weights(megabytes).tolist, stats=no_stats)


# The id's beginning, the words, whether memory exists, whether the input is out of the caches.
NUMPY = (
    ("numpy", "quantize, new memory", False, False),
    ("numpy_into", "quantize, existing memory", True, False),
    ("numpy_cold", "quantize, new memory, cold input", False, True),
    ("numpy_into_cold", "quantize, existing memory, cold input", True, True),
)
# The id's beginning, the words, from MB to the job, the largest size.
LISTS = (
    ("legacy", "tolist and legacy.quantize", _lists, 400),
    ("legacy_call", "legacy.quantize of lists that exist", partial(_lists, ready=True), 40),
    ("legacy_with_collector", "tolist and legacy.quantize with garbage collection on",
     _with_collector, 4),
    ("tolist", "w.tolist() alone", _tolist, 40),
)  # fmt: skip


def _cases_of(megabytes: int) -> Iterator[Case]:
    common = {"chart": "time", "job": "int8 of one scale, {} MB"}
    for name, words, into, cold in NUMPY:
        yield case_of_size(
            megabytes,
            name.removesuffix("_cold") + "_{}mb" + "_cold" * cold,
            f"{words}, {{}} MB",
            partial(_numpy, into=into, cold=cold),
            **common,
            line=name.replace("_", " "),
            threads=2,
            # The copy and the list call take the same input again and again.
            copy="" if cold else "copy_{}mb",
            legacy="" if cold else "legacy_{}mb",
            memory=None if cold else matrix_bytes(megabytes) // 4 * (not into),
        )
    for name, words, job, largest in LISTS:
        if megabytes <= largest:
            yield case_of_size(
                megabytes,
                name + "_{}mb",
                f"{words}, {{}} MB",
                job,
                **common if name == "legacy" else {},
                role="control" if name == "tolist" else "legacy",
                package="numpy" if name == "tolist" else "quarrow",
                line=name.replace("_", " "),
                seconds=LEGACY_SECONDS_PER_MB * megabytes,
                alone=megabytes == 400,
            )


def cases() -> Iterator[Case]:
    yield from copies()
    for megabytes in SIZES:
        yield from _cases_of(megabytes)
