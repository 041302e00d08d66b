# SPDX-License-Identifier: Apache-2.0
"""A library's way of quantizing a matrix as a row of data, its job, and the check of its result."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fixtures import SIZES, Array, lacking, torch, two_threads
from benchmarks.harness.case import Job, no_stats
from benchmarks.jobs import in_turn
from benchmarks.verification import require

# Rows whose values are restored from the codes and compared.
CHECKED_ROWS = 64
Call = Callable[[], object]
Head = Callable[[Any], Any]
Restore = Callable[[Any, Head], Any]
Way = tuple[Call, Restore]
Check = Callable[[Array, Array], None]
# The module of a package where it has another name, and what works on torch's tensors.
MODULES = {"optimum-quanto": "optimum.quanto", "comfy-kitchen": "comfy_kitchen"}
OVER_TORCH = {"torch", "torchao", "optimum-quanto", "hqq", "bitsandbytes", "comfy-kitchen"}


@dataclass(frozen=True)
class Peer:
    """A library that quantizes a float32 matrix in memory.

    Its benchmarks are named after `id`. Where its job is near to ours and not equal, `words` say
    what differs; `format` is what the two have in common.

    `way` takes a matrix, imports the library and returns two functions: the call, the first of
    whose results is the codes, of `stored` bytes a value; and what takes this result, and what cuts
    an array to the first rows, and restores their values. `check` compares these with the input.

    `threads` may work on a call; `split` says that it has none and each half of the rows gets one,
    `one_thread` that it is measured with one too. `sizes` are in MB; `charted` says whether it is
    on the chart of its format.
    """

    id: str
    package: str
    name: str
    words: str
    format: str
    way: Callable[[Array], Way]
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
        """Why it cannot run here; "" where it can."""
        others = ["torch"] if self.package in OVER_TORCH else []
        return lacking(MODULES.get(self.package, self.package), *others)

    def verify(self, result: Any, w: Array, restore: Restore) -> None:
        """Require codes for every value, and the first rows restored from them."""
        codes = result[0] if isinstance(result, tuple | list) else result
        wanted = round(w.size * self.stored)
        require(codes.nbytes == wanted, f"{codes.nbytes} bytes of codes instead of {wanted}")

        def head(part: Any) -> Any:
            return part[: -(-len(part) * CHECKED_ROWS // max(len(w), CHECKED_ROWS))]

        self.check(np.asarray(restore(result, head), np.float32), w)


def peer_job(peer: Peer, inputs: Sequence[Array], threads: int) -> Job:
    """Return a peer's job of one matrix, or of several in turn; 0 threads leaves them as set."""
    split = peer.split and threads == 2
    given = np.array_split(inputs[0], 2) if split else inputs
    ways = [peer.way(w) for w in given]
    calls = [call for call, _ in ways]
    timed = in_turn(calls)
    if split:

        def timed() -> object:
            return list(two_threads().map(operator.call, calls))

    elif threads and peer.package in OVER_TORCH:
        # A setting of the process, which many benchmarks share; it takes less than a microsecond.
        set_threads, call = torch().set_num_threads, timed

        def timed() -> object:
            set_threads(threads)
            return call()

    def verify(result: Any) -> None:
        parts = zip(result, given, ways, strict=True) if split else [(result, given[0], ways[0])]
        for part, w, (_, restore) in parts:
            peer.verify(part, w, restore)

    return Job(timed, verify, no_stats)


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
    codes, scales, zero_points = (np.asarray(head(each), np.float32) for each in result)
    return (codes - zero_points) * scales


def restore_packed(result: Any, head: Head) -> Any:
    """Restore packed codes, scales and zero points by groups."""
    codes, scales, zero_points = (np.asarray(head(each)) for each in result)
    return (unpacked(codes) - zero_points) * scales


def restore_rowwise(result: Any, head: Head) -> Any:
    codes, scales = (np.asarray(head(each), np.float32) for each in result[:2])
    return codes * scales.reshape(-1, 1)
