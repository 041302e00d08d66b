# SPDX-License-Identifier: Apache-2.0
"""Inputs, made once in a process and shared by its benchmarks, and the copies beside them."""

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.case import Case, Job
from benchmarks.harness.environment import last_level_cache_bytes
from benchmarks.verification import require

COLUMNS = 1024
SIZES = (4, 40, 400)
Array = NDArray[np.float32]


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


def in_turn(call: Callable[[Array], object], inputs: Sequence[Array]) -> Callable[[], object]:
    """Return a job that takes the next input each time."""
    endless = itertools.cycle(inputs)
    return lambda: call(next(endless))


@functools.cache
def _two_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


def _copy_job(megabytes: int, threads: int) -> Job:
    source = weights(megabytes)
    target = np.zeros_like(source)

    def one() -> object:
        np.copyto(target, source)
        return target

    half = len(source) // 2
    parts = [(target[:half], source[:half]), (target[half:], source[half:])]

    def two() -> object:
        list(_two_threads().map(lambda part: np.copyto(*part), parts))
        return target

    def verify(result: object) -> None:
        require(np.array_equal(np.asarray(result), source), "the copy differs from its source")

    return Job(one if threads == 1 else two, verify, lambda _: [])


def copy_id(megabytes: int, threads: int = 1) -> str:
    """Return the name of a copy."""
    return f"copy_{megabytes}mb" + "_2_threads" * (threads == 2)


def copies(sizes: Sequence[int] = SIZES) -> list[Case]:
    """Return the references of a suite: np.copyto of the inputs, by one thread and by two."""
    return [
        Case(
            id=copy_id(megabytes, threads),
            title=f"np.copyto of {megabytes} MB, {threads} thread{'s' * (threads > 1)}",
            prepare=functools.partial(_copy_job, megabytes, threads),
            role="copy",
            package="numpy",
            line=f"copy, {threads} thread{'s' * (threads > 1)}",
            size=megabytes,
            bytes=matrix_bytes(megabytes),
            threads=threads,
        )
        for megabytes in sizes
        for threads in (1, 2)
    ]
