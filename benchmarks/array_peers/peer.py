# SPDX-License-Identifier: Apache-2.0
"""What a library's way of quantizing a matrix is declared as, and how its result is checked."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fixtures import SIZES, Array
from benchmarks.harness.case import Job
from benchmarks.verification import require

# Rows whose values are restored from the codes and compared.
CHECKED_ROWS = 64
Way = Callable[[Array, int], Job]


@dataclass(frozen=True)
class ArrayPeer:
    """A library that quantizes a float32 matrix in memory.

    Attributes
    ----------
    id : str
        Its benchmarks are named after it: "fbgemm_int4" gives "fbgemm_int4_4mb".
    title : str
        Library and format; where the job is near to ours and not equal, the difference too.
    package : str
        The distribution.
    needs : tuple of str
        The modules that must be installed, the package's own last.
    job : str
        The format that a peer and ours have in common: "int4".
    way : callable
        From a matrix and a number of threads to a job; imports the library.
    threads : int
        That its call may use.
    one_thread : bool
        Whether it is measured with one thread too.
    seconds_per_mb : float
        About what a call takes for 1 MB of float32.
    sizes : tuple of int
        MB that it is measured with.
    """

    id: str
    title: str
    package: str
    needs: tuple[str, ...]
    job: str
    way: Way
    threads: int = 2
    one_thread: bool = False
    seconds_per_mb: float = 0.0
    sizes: tuple[int, ...] = SIZES

    @property
    def lacks(self) -> str:
        """Why it cannot run here; "" where it can, as far as one sees without importing it."""
        absent = [module for module in self.needs if not is_installed(module)]
        if not absent:
            return ""
        return "not installed" if self.needs[-1] in absent else f"needs {absent[0]}"


def is_installed(module: str) -> bool:
    """Tell whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


def check_restored(
    restored: NDArray[Any], w: Array, *, group: int, bits: int, most: float, symmetric: bool = False
) -> None:
    """Compare values restored from the codes of the first rows with the input.

    Parameters
    ----------
    restored : array
        Those values, in the order of the input's.
    w : array
        The input.
    group : int
        Values that share a scale.
    bits : int
        Of a code; with the range of a group it gives the length of a step.
    most : float
        How many steps the two may be apart: 0.5 where codes are rounded to the nearest and scales
        kept as they are, more for the formats that do otherwise.
    symmetric : bool
        Whether the range is that of the largest magnitude.
    """
    rows = w[:CHECKED_ROWS].reshape(-1, group)
    given = np.asarray(restored, np.float32).ravel()[: rows.size].reshape(rows.shape)
    low, high = rows.min(1, initial=0.0), rows.max(1, initial=0.0)
    width = 2 * np.maximum(-low, high) if symmetric else high - low
    step = np.maximum(width / np.float32((1 << bits) - 1), np.float32(1e-30))
    furthest = float((np.abs(given - rows).max(1) / step).max())
    require(furthest <= most, f"values are {furthest:.2f} steps from their input, {most} allowed")


def check_shape(result: Any, shape: tuple[int, ...], what: str) -> None:
    """Require the shape of an array or tensor."""
    require(tuple(result.shape) == shape, f"{what}: {tuple(result.shape)} instead of {shape}")
