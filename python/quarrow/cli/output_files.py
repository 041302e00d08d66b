# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes: never over another by accident, never half."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

import quarrow

_MAX_NAME_BYTES = 255


def refuse_existing(path: Path) -> None:
    """Raise InvalidInputError for a path that is taken, be it by a link that leads nowhere."""
    if path.is_symlink() or path.exists():
        msg = f"'{path}' exists; --force replaces it"
        raise quarrow.InvalidInputError(msg)


def check_text_file(path: Path, *, force: bool, beside: Sequence[Path]) -> None:
    """Raise now what `write_text` would raise after a long job.

    `beside` are the other files of the command, which must not be the same.
    """
    if path.is_dir():
        msg = f"'{path}' is a folder; name a file"
        raise quarrow.InvalidInputError(msg)
    if path.exists() and not path.is_file():
        msg = f"'{path}' is a device, a pipe or a socket; name a regular file"
        raise quarrow.InvalidInputError(msg)
    if _real(path) in map(_real, beside):
        msg = f"'{path}' is also another file of this command"
        raise quarrow.InvalidInputError(msg)
    if not force:
        refuse_existing(path)
    try:
        # What the folder says to a new file: there is none, it is read-only.
        with TemporaryFile(dir=_real(path).parent):
            pass
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file that appears when it is complete; a failure leaves the old one, or none."""
    # A link stays a link: the file that it leads to is replaced.
    target = _real(path)
    tail = f".quarrow-{os.getpid()}.tmp"
    name = os.fsdecode(os.fsencode(target.name)[: _MAX_NAME_BYTES - 1 - len(tail)])
    temporary = target.with_name(f".{name}{tail}")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        if not isinstance(error, FileExistsError):
            with suppress(FileNotFoundError):
                temporary.unlink()
        if isinstance(error, OSError):
            error.filename = os.fspath(path)
        raise


def _real(path: Path) -> Path:
    # Not Path.resolve, which raises RuntimeError for a link that leads to itself.
    return Path(os.path.realpath(path))
