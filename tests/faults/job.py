# SPDX-License-Identifier: Apache-2.0
"""What a job is: something that runs, and what is compared of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr

Files = dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """A job that can be run again and again in one process.

    Attributes
    ----------
    run
        What runs while faults are injected. Whatever is returned must be the same each time.
    old
        The files in the folder `out` before the job; they are brought back before each run.
    pages
        Those of them that stand by themselves and hold the time: whole or not is all one can tell.
    before
        Called before each run, when nothing fails.
    result
        Makes of what `run` returned what is compared.
    failed
        Says in words that what `run` returned is a failure (an exit code); None for success.
    """

    run: Callable[[], object]
    old: Files = field(default_factory=dict)
    pages: tuple[str, ...] = ()
    before: Callable[[], None] = lambda: None
    result: Callable[[Any], object] = lambda value: value
    failed: Callable[[Any], str | None] = lambda _: None


@dataclass(frozen=True)
class JobKind:
    """How a job is made, and where it may run.

    Attributes
    ----------
    prepare
        Called with the folder that holds `in` and `out`; writes into `in`.
    calls
        The only calls that are to fail; all of them if empty.
    denied
        What fails all the time, by name of the call: a file system that cannot do it.
    cold
        Run once in a new process for each fault, so that what happens the first time alone (workers
        that start) can fail as well.
    slow
        A tenth of a second and more each time: the slice takes less of it.
    """

    prepare: Callable[[Path], Job]
    calls: tuple[str, ...] = ()
    denied: Mapping[str, str] = field(default_factory=dict)
    cold: bool = False
    slow: bool = False


def facts(value: object) -> object:
    """Return what can be compared of a value: bytes, numbers, texts, and tuples of these."""
    if isinstance(value, qr.QuantizedTensor):
        arrays = (value.codes, value.scales, value.zero_points)
        return (*map(facts, arrays), repr(value.format), value.shape, value.dtype_name)
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    if isinstance(value, Mapping):
        return tuple((str(name), facts(each)) for name, each in value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(facts(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, list | tuple):
        return tuple(map(facts, value))
    if hasattr(value, "to_pydict"):
        return facts(value.to_pydict())
    return value


def read_files(folder: Path) -> Files:
    """Return the files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_files(folder: Path, files: Files) -> None:
    """Make a folder hold these files and no others."""
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
