# SPDX-License-Identifier: Apache-2.0
"""Kernels in C++.

The engine is called by a C++ program, nothing of the Python package, one thread unless a case says
two. Every format of the registry runs on every instruction set of this machine for 4 MB of float32;
the other sizes, the other input types at the elements of 40 MB of float32, two threads, and the way
back to float32 run on the best one. The result is first compared with that of the slowest one.
"""

import ctypes
import functools
import itertools
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

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
    found.quarrow_kernels_bytes.argtypes = [size, size, size]
    found.quarrow_kernels_bytes.restype = size
    for run in (found.quarrow_kernels_quantize, found.quarrow_kernels_dequantize):
        run.argtypes = [size, size, size, pointer, size, pointer, size]
        run.restype = ctypes.c_bool
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


def _parts(format_: int, dtype: str, rows: int) -> Array:
    """Return memory for what a format makes of so many rows."""
    kind = list(ELEMENT_BYTES).index(dtype)
    return np.zeros(_library().quarrow_kernels_bytes(format_, kind, rows), np.uint8)


def _quantized(dtype: str, w: Array, format_: int, target: int) -> tuple[bool, Array]:
    """Return whether it went well, and the parts of the layer."""
    parts, kind = _parts(format_, dtype, len(w)), list(ELEMENT_BYTES).index(dtype)
    done = _library().quarrow_kernels_quantize(
        format_, target, kind, w.ctypes.data, len(w), parts.ctypes.data, 1
    )
    return done, parts


def _quantize(dtype: str, megabytes: int, format_: int, target: int, threads: int) -> Job:
    library, kind = _library(), list(ELEMENT_BYTES).index(dtype)
    w = _matrix(dtype, megabytes)
    parts = _parts(format_, dtype, len(w))
    arguments = (format_, target, kind, w.ctypes.data, len(w), parts.ctypes.data, threads)

    def verify(result: Any) -> None:
        require(result[0], "it failed")
        first = _matrix(dtype, 4)[: _rows(1)]
        slowest = len(library.quarrow_kernels_targets().split()) - 1
        _, made = _quantized(dtype, first, format_, target)
        _, expected = _quantized(dtype, first, format_, slowest)
        require(np.array_equal(made, expected), "the result differs from the slowest target's")

    # The memory must live as long as the job.
    return Job(lambda: (library.quarrow_kernels_quantize(*arguments), parts), verify, no_stats)


def _dequantize(megabytes: int, format_: int, threads: int) -> Job:
    w, library = _matrix("float32", megabytes), _library()
    _, parts = _quantized("float32", w, format_, 0)
    values = np.zeros_like(w)
    arguments = (format_, 0, 0, values.ctypes.data, len(w), parts.ctypes.data, threads)

    def verify(result: Any) -> None:
        require(result[0], "it failed")
        # Two bits make errors of a third of the range.
        near = float(np.abs(values - w).max()) <= float(np.ptp(w)) / 3
        require(near, "the values are not those that were quantized")

    run = library.quarrow_kernels_dequantize
    return Job(lambda: (run(*arguments), values, parts), verify, no_stats)


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
                chart="*" if dtype == "float32" else "",
                line=f"copy, {threads_text(threads)}",
                size=megabytes,
                bytes=_rows(megabytes) * COLUMNS * ELEMENT_BYTES[dtype],
                threads=threads,
            )


def _cases_of(place: int, name: str, targets: list[str]) -> Iterator[Case]:
    # A chart has room for a few lines.
    family = "".join(itertools.takewhile(str.isalpha, name))
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
            prepare=partial(_quantize, dtype, megabytes, place, max(target, 0), 1),
            chart=f"{family} from float32" if charted else "",
            line=name,
            size=megabytes,
            bytes=_rows(megabytes) * COLUMNS * ELEMENT_BYTES[dtype],
            copy=f"copy-{dtype}-{megabytes}mb",
        )
    for megabytes in (4, 40, 400):
        yield Case(
            id=f"{name}-best-float32-{megabytes}mb-2threads",
            title=f"{name}, {megabytes} MB of float32, {threads_text(2)}",
            prepare=partial(_quantize, "float32", megabytes, place, 0, 2),
            size=megabytes,
            bytes=_rows(megabytes) * COLUMNS * 4,
            copy=f"copy-float32-{megabytes}mb",
            threads=2,
        )
    for megabytes, threads in ((4, 1), (4, 2), (40, 1), (40, 2)):
        yield Case(
            id=f"{name}-decode-{megabytes}mb" + "-2threads" * (threads == 2),
            title=f"{name} back to {megabytes} MB of float32, {threads_text(threads)}",
            prepare=partial(_dequantize, megabytes, place, threads),
            chart=f"{family} back to float32" if threads == 1 else "",
            line=name if threads == 1 else "",
            size=megabytes,
            bytes=_rows(megabytes) * COLUMNS * 4,
            copy=f"copy-float32-{megabytes}mb",
            threads=threads,
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
