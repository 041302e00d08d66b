# SPDX-License-Identifier: Apache-2.0
"""Inputs, made once in a process and shared by its benchmarks, and the copies beside them."""

import ctypes
import functools
import importlib
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.case import Case, Job
from benchmarks.harness.environment import last_level_cache_bytes
from benchmarks.verification import require

COLUMNS = 1024
SIZES = (4, 40, 400)
COPY_LIBRARY = Path(__file__).parents[1] / "build/bench/libquarrow_copy.so"
Array = NDArray[Any]


def matrix_bytes(megabytes: int) -> int:
    """Return the bytes of the largest matrix of 1024 float32 columns within so many megabytes."""
    return megabytes * 1_000_000 // (4 * COLUMNS) * 4 * COLUMNS


@functools.cache
def _block() -> Array:
    block = np.random.default_rng(1).standard_normal((40 * COLUMNS // 4, COLUMNS), np.float32)
    block *= np.float32(0.02)
    return block


@functools.cache
def pool() -> Array:
    """Return weights whose bytes are twice the last cache, and 800 MB at least, [rows, 1024].

    Every input is a part of it. Parts that are used in turn have left the cache when they come
    round again.
    """
    wanted = max(2 * last_level_cache_bytes(), 2 * matrix_bytes(max(SIZES)))
    return np.tile(_block(), (-(-wanted // _block().nbytes), 1))


def weights(megabytes: int) -> Array:
    """Return normally distributed weights of a size, standard deviation 0.02, [rows, 1024]."""
    rows = matrix_bytes(megabytes) // (4 * COLUMNS)
    # The pool repeats a block: a small part of it needs no more than that.
    return (_block() if rows <= len(_block()) else pool())[:rows]


def cold_weights(megabytes: int) -> Sequence[Array]:
    """Return matrices of a size; used in turn none is in the cache."""
    rows = matrix_bytes(megabytes) // (4 * COLUMNS)
    whole = pool()
    return [whole[start : start + rows] for start in range(0, len(whole) - rows + 1, rows)]


def random_layers(shapes: Sequence[tuple[int, ...]]) -> dict[str, Array]:
    """Return a layer of each shape, all of them different."""
    random = np.random.default_rng(len(shapes))
    return {
        f"layers.{i}.weight": random.standard_normal(shape, np.float32)
        for i, shape in enumerate(shapes)
    }


def in_turn(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """Return what makes the next of some calls each time; one call stays what it is."""
    endless = itertools.cycle(calls)

    def call() -> object:
        return next(endless)()

    return calls[0] if len(calls) == 1 else call


def column(layers: Mapping[str, Array]) -> Any:
    """Return layers as rows of a record batch; pyarrow puts several one behind another first."""
    pa = importlib.import_module("pyarrow")
    chunks = [pa.array(w.ravel()) for w in layers.values()]
    offsets = pa.array(np.cumsum([0, *(w.size for w in layers.values())]))
    values = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
    shapes = pa.array([list(w.shape) for w in layers.values()], pa.list_(pa.int64()))
    rows = pa.LargeListArray.from_arrays(offsets, values)
    return pa.record_batch({"layer_name": list(layers), "weights": rows, "shape": shapes})


def tensors(layers: Mapping[str, Array]) -> dict[str, Any]:
    """Return the same layers as torch tensors over the same memory."""
    torch = importlib.import_module("torch")
    return {name: torch.from_numpy(w) for name, w in layers.items()}


def no_stats(result: object) -> list[Any]:
    """Return the stamps of what has none."""
    del result
    return []


def copy_library() -> Path:
    """Return where the copy by two threads is; QUARROW_COPY names another place."""
    return Path(os.environ.get("QUARROW_COPY", COPY_LIBRARY))


def missing_copy() -> dict[str, str]:
    """Return what a suite lacks where that was not built."""
    path = copy_library()
    words = "not built, tools/setup benchmarks builds it: no copy by two threads"
    return {} if path.exists() else {path.name: words}


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


def _matrix_copy(megabytes: int, threads: int) -> Job:
    return copy_job([weights(megabytes)], threads)


def copy_id(megabytes: int, threads: int = 1) -> str:
    """Return the name of a copy."""
    return f"copy_{megabytes}mb" + "_2_threads" * (threads == 2)


def sized(megabytes: int) -> dict[str, Any]:
    """Return what the benchmarks of a size have in common."""
    bytes_ = matrix_bytes(megabytes)
    return {"size": megabytes, "bytes": bytes_, "copy": copy_id(megabytes)}


def copies(sizes: Sequence[int] = SIZES, chart: str = "*") -> list[Case]:
    """Return the references of a suite: a copy of the inputs, by one thread and by two."""
    return [
        Case(
            **{**sized(megabytes), "copy": ""},
            id=copy_id(megabytes, threads),
            title=f"{words}, {megabytes} MB, {threads} thread{'s' * (threads > 1)}",
            prepare=functools.partial(_matrix_copy, megabytes, threads),
            role="copy",
            package=package,
            chart=chart,
            line=f"copy, {threads} thread{'s' * (threads > 1)}",
            threads=threads,
        )
        for megabytes in sizes
        for threads, words, package in ((1, "np.copyto", "numpy"), (2, "memcpy in C++", ""))
        if threads == 1 or not missing_copy()
    ]
