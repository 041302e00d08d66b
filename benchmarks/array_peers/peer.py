# SPDX-License-Identifier: Apache-2.0
"""A library's way of quantizing a matrix as a row of data, its job, and the check of its result."""

import functools
import importlib
import importlib.util
import operator
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fixtures import SIZES, Array, in_turn, no_stats
from benchmarks.harness.case import Job
from benchmarks.verification import require

# Rows whose values are restored from the codes and compared.
CHECKED_ROWS = 64
Call = Callable[[], object]
Head = Callable[[Any], Any]
Check = Callable[[Array, Array], None]
# What must be installed for a package, its own module last.
MODULES = {
    "numpy": ("numpy",),
    "torch": ("torch",),
    "torchao": ("torch", "torchao"),
    "optimum-quanto": ("torch", "optimum.quanto"),
    "hqq": ("torch", "hqq"),
    "bitsandbytes": ("torch", "bitsandbytes"),
    "comfy-kitchen": ("torch", "comfy_kitchen"),
    "pywhispercpp": ("pywhispercpp",),
    "gguf": ("gguf",),
    "onnxruntime": ("onnxruntime",),
    "mlx": ("mlx",),
}


@dataclass(frozen=True)
class Peer:
    """A library that quantizes a float32 matrix in memory.

    Its benchmarks are named after `id`. Where its job is near to ours and not equal, `words` say
    what differs; `format` is what the two have in common.

    `way` takes a matrix, imports the library and returns the call; the first of what that returns
    is the codes, of `stored` bytes a value. `restore` takes the call's result, and what cuts an
    array to the first rows, and returns their values; `check` compares these with the input.

    `threads` may work on a call; `split` says that it has none and each half of the rows gets one,
    `one_thread` that it is measured with one too. `sizes` are in MB; `charted` says whether it is
    on the chart of its format.
    """

    id: str
    package: str
    name: str
    words: str
    format: str
    way: Callable[[Array], Call]
    restore: Callable[[Any, Head], Any]
    check: Check
    stored: float
    seconds_per_mb: float
    threads: int = 2
    split: bool = False
    one_thread: bool = False
    sizes: tuple[int, ...] = SIZES
    charted: bool = True

    @property
    def lacks(self) -> str:
        """Why it cannot run here; "" where it can, as far as one sees without importing it."""
        needs = MODULES[self.package]
        absent = [module for module in needs if not is_installed(module)]
        if not absent:
            return ""
        return "not installed" if needs[-1] in absent else f"needs {absent[0]}"

    def verify(self, result: Any, w: Array) -> None:
        """Require codes for every value, and the first rows restored from them."""
        codes = result[0] if isinstance(result, tuple | list) else result
        wanted = round(w.size * self.stored)
        require(codes.nbytes == wanted, f"{codes.nbytes} bytes of codes instead of {wanted}")

        def head(part: Any) -> Any:
            return part[: -(-len(part) * CHECKED_ROWS // max(len(w), CHECKED_ROWS))]

        self.check(np.asarray(self.restore(result, head), np.float32), w)


def is_installed(module: str) -> bool:
    """Tell whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


@functools.cache
def _two_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


def _with_torch_threads(threads: int, call: Call) -> Call:
    """Return a call for which torch uses so many threads.

    That is a setting of the process, which many benchmarks share; it takes less than a microsecond.
    """
    set_threads = importlib.import_module("torch").set_num_threads

    def run() -> object:
        set_threads(threads)
        return call()

    return run


def peer_job(peer: Peer, inputs: Sequence[Array], threads: int) -> Job:
    """Return a peer's job of one matrix, or of several in turn; 0 threads leaves them as set."""
    if peer.split and threads == 2:
        halves = np.array_split(inputs[0], 2)
        calls = [peer.way(half) for half in halves]

        def verify(results: Any) -> None:
            for result, half in zip(results, halves, strict=True):
                peer.verify(result, half)

        return Job(lambda: list(_two_threads().map(operator.call, calls)), verify, no_stats)
    call = in_turn([peer.way(w) for w in inputs])
    if threads and "torch" in MODULES[peer.package]:
        call = _with_torch_threads(threads, call)
    return Job(call, lambda result: peer.verify(result, inputs[0]), no_stats)


def steps(group: int, bits: int, most: float, *, symmetric: bool = False) -> Check:
    """Return the check of values that share a scale by groups of so many, 0 by rows.

    A step is the range of a group (or that of its largest magnitude) by the codes of so many bits.
    A value may be 0.5 of it off where codes are rounded to the nearest and scales kept as they are,
    and more for the formats that do otherwise.
    """

    def check(restored: Array, w: Array) -> None:
        rows = w[:CHECKED_ROWS].reshape(-1, group or w.shape[1])
        # What is restored may begin with fewer rows than these.
        rows = rows[: restored.size // rows.shape[1]]
        require(len(rows), "nothing was restored")
        given = restored.ravel()[: rows.size].reshape(rows.shape)
        low, high = rows.min(1, initial=0.0), rows.max(1, initial=0.0)
        width = 2 * np.maximum(-low, high) if symmetric else high - low
        step = np.maximum(width / np.float32((1 << bits) - 1), np.float32(1e-30))
        off = float((np.abs(given - rows).max(1) / step).max())
        require(off <= most, f"values are {off:.2f} steps from their input, {most} allowed")

    return check


def check_fp8(restored: Array, w: Array) -> None:
    """Check values of e4m3 with one scale: three bits follow the first, 2**-9 is the smallest."""
    rows, smallest = w[: len(restored)], float(np.abs(w).max()) / 448 * 2**-10
    allowed = 1.001 * np.maximum(np.abs(rows) / 16, smallest)
    near = len(rows) and np.all(np.abs(restored - rows) <= allowed)
    require(near, "values are more than half a code from their input")


def unpacked(codes: Any) -> Any:
    """Return 4-bit codes of an array that has two a byte, the first in the low bits."""
    codes = np.asarray(codes)
    return np.stack([codes & 15, codes >> 4], -1).reshape(len(codes), -1)


def restore_affine(result: Any, head: Head) -> Any:
    """Restore codes, scales and zero points by rows."""
    codes, scales, zero_points = (np.asarray(head(each), np.float32) for each in result)
    return (codes - zero_points) * scales


def restore_packed(result: Any, head: Head) -> Any:
    """Restore packed codes, scales and zero points by groups."""
    codes, scales, zero_points = (np.asarray(head(each)) for each in result)
    return (unpacked(codes) - zero_points) * scales


def restore_rowwise(result: Any, head: Head) -> Any:
    """Restore signed codes and a scale for each row."""
    codes, scales = (np.asarray(head(each), np.float32) for each in result[:2])
    return codes * scales.reshape(-1, 1)
