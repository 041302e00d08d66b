# SPDX-License-Identifier: Apache-2.0
"""A file of 20 KB: what a job costs besides its bytes, of which the system calls are the most."""

import functools
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import quarrow as qr
from safetensors.numpy import save_file

from benchmarks.harness.case import Case, Job
from benchmarks.models import folder
from benchmarks.verification import require
from benchmarks.whole_files import FORMAT, check_restored

BYTES = 20_480
WORDS = "a file of 20 KB"
Way = Callable[[Path, Path], object]


@functools.cache
def _source() -> Path:
    path = folder() / "small.safetensors"
    random = np.random.default_rng(0)
    layers = {f"{i}.weight": random.standard_normal((32, 80)).astype("f2") for i in range(4)}
    save_file(layers, path)
    return path


def quantize(source: Path, out: Path, *, sync: bool) -> None:
    """Do the job with quarrow, on a destination that exists from the second time on."""
    qr.quantize_file(source, out, FORMAT, sync=sync, threads=1)


def copy_plainly(source: Path, out: Path, *, sync: bool) -> None:
    """Copy the file so that it appears whole."""
    beside = out.with_suffix(".part")
    with source.open("rb", buffering=0) as file:
        data = file.read()
    with beside.open("wb", buffering=0) as file:
        file.write(data)
        if sync:
            os.fsync(file.fileno())
    beside.replace(out)


def _same_file(source: Path, out: Path) -> None:
    require(source.read_bytes() == out.read_bytes(), "the copy differs")


def _job(id_: str, way: Way, check: Callable[[Path, Path], None]) -> Job:
    source, out = _source(), folder() / f"{id_}.out"
    return Job(lambda: way(source, out), lambda _: check(source, out), lambda _: [])


def cases() -> Iterator[Case]:
    """Return the benchmarks."""
    for sync in (False, True):
        ending = "_synced" * sync
        case = partial(Case, bytes=BYTES, threads=1)
        ours, copy = f"small_file{ending}", f"small_plain{ending}"
        yield case(
            id=ours,
            title=f"{WORDS}: quantize_file" + ", synced" * sync,
            prepare=partial(_job, ours, partial(quantize, sync=sync), check_restored),
            copy=copy,
            job=f"{FORMAT} file of {WORDS}" + ", synced" * sync,
        )
        yield case(
            id=copy,
            title=f"{WORDS}: a copy that appears whole" + ", synced" * sync,
            prepare=partial(_job, copy, partial(copy_plainly, sync=sync), _same_file),
            role="copy",
            package="",
        )
