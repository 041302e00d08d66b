# SPDX-License-Identifier: Apache-2.0
"""Kernels in C++.

The kernels are called tile by tile as the engine does, one thread, nothing of the Python package.
Every format runs on every instruction set of this machine for 4 MB of float32; the other sizes, and
the other input types at the elements of 40 MB of float32, run on the best one. The result is
compared with the slowest instruction set's first.
"""

import ctypes
import functools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from quarrow.isa_names import readable_isa

from benchmarks.cases import missing_copy, threads_text
from benchmarks.fixtures import Array, weights
from benchmarks.harness.case import Case, Job, no_stats
from benchmarks.jobs import copy_job
from benchmarks.verification import require

# It is of this clone, whichever venv calls it: two builds would be compared with themselves.
OF_CLONE = True
BUILT = Path(__file__).parents[2] / "build/bench/benchmarks/cpp/libquarrow_kernels.so"
COLUMNS = 4096
# In the order of the library.
ELEMENT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}


def _path() -> Path:
    """Return where the library is; QUARROW_KERNELS names another place."""
    return Path(os.environ.get("QUARROW_KERNELS", BUILT))


@functools.cache
def _library() -> ctypes.CDLL:
    found = ctypes.CDLL(str(_path()))
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    for names in (found.quarrow_kernels_formats, found.quarrow_kernels_targets):
        names.restype = ctypes.c_char_p
    quantize = found.quarrow_kernels_quantize
    quantize.argtypes = [size, size, size, pointer, size, pointer, pointer, pointer]
    quantize.restype = ctypes.c_bool
    return found


def _rows(megabytes: int) -> int:
    return megabytes * 1_000_000 // (COLUMNS * 4)


@functools.cache
def _matrix(dtype: str, megabytes: int) -> Array:
    """Return as many values as a matrix of so many MB of float32 has."""
    rows = _rows(megabytes)
    w = weights(megabytes).ravel()[: rows * COLUMNS].reshape(rows, COLUMNS)
    if dtype == "bfloat16":  # numpy knows none
        return (w.view(np.uint32) >> 16).astype(np.uint16)
    return w.astype(dtype, copy=False)


def _quantize(dtype: str, megabytes: int, format_: int, target: int) -> Job:
    library, kind = _library(), list(ELEMENT_BYTES).index(dtype)

    def job(w: Array, where: int) -> Job:
        scales = np.zeros(w.size // 32, np.float32)
        result = np.zeros(w.size, np.uint8), scales, np.zeros(scales.size, np.uint8)
        addresses = [array.ctypes.data for array in result]
        arguments = (format_, where, kind, w.ctypes.data, len(w), *addresses)
        return Job(lambda: (library.quarrow_kernels_quantize(*arguments), *result))

    def verify(result: tuple[bool, Array, Array, Array]) -> None:
        require(result[0], "another target than the one asked for")
        first = _matrix(dtype, 4)[: _rows(1)]
        slowest = len(library.quarrow_kernels_targets().split()) - 1
        made, expected = job(first, target).call(), job(first, slowest).call()
        # To its caller a job returns an object; this one returns tuples of arrays.
        same = all(map(np.array_equal, made, expected))  # type: ignore[call-overload]
        require(same, "the result differs from that of the slowest target")

    return Job(job(_matrix(dtype, megabytes), target).call, verify, no_stats)


def _copy(dtype: str, megabytes: int, threads: int) -> Job:
    return copy_job([_matrix(dtype, megabytes)], threads)


def _copies() -> Iterator[Case]:
    for dtype, megabytes, threads in (
        *(("float32", size, threads) for size in (4, 40, 400) for threads in (1, 2)),
        *((dtype, 40, 1) for dtype in ("float16", "bfloat16", "float64")),
    ):
        if threads == 1 or not missing_copy():
            yield Case(
                id=f"copy-{dtype}-{megabytes}mb" + "-2threads" * (threads == 2),
                title=f"a copy of {megabytes * ELEMENT_BYTES[dtype] // 4} MB of {dtype},"
                f" {threads_text(threads)}",
                prepare=partial(_copy, dtype, megabytes, threads),
                role="copy",
                package="numpy" if threads == 1 else "",
                chart="float32" if dtype == "float32" else "",
                line=f"copy, {threads_text(threads)}",
                size=megabytes,
                bytes=_rows(megabytes) * COLUMNS * ELEMENT_BYTES[dtype],
                threads=threads,
            )


def _cases_of(place: int, name: str, targets: list[str]) -> Iterator[Case]:
    runs = [(target, "float32", 4) for target in range(len(targets))]
    runs += [(-1, dtype, 40) for dtype in ("float32", "float16", "bfloat16", "float64")]
    for target, dtype, megabytes in (*runs, (-1, "float32", 400)):
        isa = "best" if target < 0 else targets[target].lower()
        where = "best instruction set" if target < 0 else readable_isa(targets[target])
        # The best instruction set has its name at 4 MB, where all of them are.
        charted = dtype == "float32" and target <= 0
        yield Case(
            id=f"{name}-{isa}-{dtype}-{megabytes}mb",
            title=f"{name}, {where}, the elements of {megabytes} MB of float32 as {dtype}",
            prepare=partial(_quantize, dtype, megabytes, place, max(target, 0)),
            chart="float32" if charted else "",
            line=name,
            size=megabytes,
            bytes=_rows(megabytes) * COLUMNS * ELEMENT_BYTES[dtype],
            copy=f"copy-{dtype}-{megabytes}mb",
        )


def cases() -> Iterator[Case]:
    if not _path().exists():
        return
    yield from _copies()
    targets = _library().quarrow_kernels_targets().decode().split()
    for place, name in enumerate(_library().quarrow_kernels_formats().decode().split()):
        yield from _cases_of(place, name, targets)


def missing() -> dict[str, str]:
    path = _path()
    absent = {} if path.exists() else {path.name: "not built: tools/setup kernels builds it"}
    return absent | missing_copy()
