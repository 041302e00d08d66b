# SPDX-License-Identifier: Apache-2.0
"""Inputs, made once in a process and shared by its benchmarks."""

import functools
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.environment import last_level_cache_bytes

COLUMNS = 1024
SIZES = (4, 40, 400)
Array = NDArray[Any]
Layers = Mapping[str, Array]


def is_installed(module: str) -> bool:
    """Tell whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


def pyarrow() -> Any:
    return importlib.import_module("pyarrow")


def torch() -> Any:
    return importlib.import_module("torch")


@functools.cache
def two_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


def lacking(module: str, *others: str) -> str:
    """Return why what needs modules, its own first, cannot run here, as far as one sees; or ""."""
    if not is_installed(module):
        return "not installed"
    return next((f"needs {other}" for other in others if not is_installed(other)), "")


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
    drawn = (random.standard_normal(shape, np.float32) for shape in shapes)
    return {f"layers.{i}.weight": layer for i, layer in enumerate(drawn)}


def column(layers: Layers) -> Any:
    """Return layers as rows of a record batch; pyarrow puts several one behind another first."""
    pa = pyarrow()
    chunks = [pa.array(w.ravel()) for w in layers.values()]
    offsets = pa.array(np.cumsum([0, *(w.size for w in layers.values())]))
    values = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
    shapes = pa.array([list(w.shape) for w in layers.values()], pa.list_(pa.int64()))
    rows = pa.LargeListArray.from_arrays(offsets, values)
    return pa.record_batch({"layer_name": list(layers), "weights": rows, "shape": shapes})


def tensors(layers: Layers) -> dict[str, Any]:
    return {name: torch().from_numpy(w) for name, w in layers.items()}
