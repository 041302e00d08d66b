# SPDX-License-Identifier: Apache-2.0
"""Jobs that take some fault badly, each in one way, and one that takes all of them well."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import quarrow as qr

from tests.faults.job import Job, JobKind

OLD = {"out": b"old"}
NEW = b"the new content, in two parts"


def _library() -> Any:
    # It lies beside the injector.
    return ctypes.CDLL(str(Path(os.environ["LD_PRELOAD"]).with_name("libquarrow_planted.so")))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _write(file: int) -> None:
    for part in (NEW[:10], NEW[10:]):
        done = 0
        while done < len(part):
            done += os.write(file, part[done:])


def _replace(path: Path, *, cleans_up: bool = True) -> None:
    temporary = path.with_name(f".{path.name}.quarrow-1.tmp")
    try:
        with _opened(temporary) as file:
            _write(file)
            os.fsync(file)
        temporary.rename(path)
    except OSError:
        if cleans_up:
            with suppress(FileNotFoundError):
                temporary.unlink()
        raise


def _job(run: Callable[[Path], object]) -> JobKind:
    return JobKind(lambda folder: Job(lambda: run(folder / "out" / "out"), OLD))


def _untyped(path: Path) -> None:
    try:
        _replace(path)
    except OSError as error:
        msg = "not one of ours"
        raise KeyError(msg) from error


def _half(path: Path) -> None:
    with _opened(path) as file:
        _write(file)


def _descriptor(path: Path) -> None:
    temporary = path.with_name("second")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o600)
    temporary.unlink()
    _write(file)  # when this fails nobody closes it
    os.close(file)
    _replace(path)


_failed_before: list[bool] = []


def _remembers(path: Path) -> int:
    try:
        _replace(path)
    except OSError:
        _failed_before.append(True)
        raise
    return len(_failed_before)


def _believes(path: Path) -> bool:
    """Take a failure for a success."""
    try:
        _replace(path)
    except OSError:
        return True
    return True


def _allocations(folder: Path) -> Job:
    library = _library()
    del folder

    def run() -> int:
        worked = int(library.planted_allocations(3))
        if worked < 3:
            raise MemoryError
        return worked

    return Job(run)


def _misnamed(folder: Path) -> Job:
    library = _library()
    del folder

    def run() -> int:
        worked = int(library.planted_allocations(3))
        if worked < 3:
            msg = "not enough memory is no wrong input"
            raise qr.InvalidInputError(msg)
        return worked

    return Job(run)


def _native(function: str) -> JobKind:
    return JobKind(lambda _: Job(lambda: int(getattr(_library(), function)())))


KINDS = {
    "sound": _job(_replace),
    "temporary": _job(lambda path: _replace(path, cleans_up=False)),
    "untyped": _job(_untyped),
    "half": _job(_half),
    "descriptor": _job(_descriptor),
    "remembers": _job(_remembers),
    "believes": _job(_believes),
    "allocations": JobKind(_allocations),
    "misnamed": JobKind(_misnamed),
    "abort": _native("planted_abort"),
    "unchecked": _native("planted_unchecked"),
    "hang": _native("planted_hang"),
}
