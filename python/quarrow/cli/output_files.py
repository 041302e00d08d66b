# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes: never over another by accident, never half."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import quarrow
from quarrow import _core


def refuse_existing(path: Path) -> None:
    """Raise InvalidInputError for a path that is taken, be it by a link that leads nowhere."""
    if path.is_symlink() or path.exists():
        msg = f"'{path}' exists; --force replaces it"
        raise quarrow.InvalidInputError(msg)


def check_text_file(path: Path, *, force: bool, beside: Iterable[Path]) -> None:
    """Raise now what `write_text` would raise after a long job.

    `beside` are the other files of the command, which must not be the same.
    """
    if path.is_dir():
        msg = f"'{path}' is a folder; name a file"
        raise quarrow.InvalidInputError(msg)
    if path.exists() and not path.is_file():
        msg = f"'{path}' is a device, a pipe or a socket; name a regular file"
        raise quarrow.InvalidInputError(msg)
    if any(_is_same(path, other) for other in beside):
        msg = f"'{path}' is also another file of this command"
        raise quarrow.InvalidInputError(msg)
    if not force:
        refuse_existing(path)
    try:
        # What the folder would say to a new file. None is made: it could stay.
        _check_folder(_real(path).parent)
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file that appears when it is complete; a failure leaves the old one, or none."""
    try:
        # A link stays a link: the file that it leads to is replaced.
        _core.write_file(os.fsencode(_real(path)), text.encode())
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def _check_folder(folder: Path) -> None:
    inside = f"{folder}/."
    if not os.access(inside, os.W_OK | os.X_OK):
        Path(inside).stat()
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _is_same(path: Path, other: Path) -> bool:
    if _real(path) == _real(other):
        return True
    # Two names of one file, or two spellings where the case of letters does not count.
    return path.exists() and other.exists() and path.samefile(other)


def _real(path: Path) -> Path:
    # Not Path.resolve, which raises RuntimeError for a link that leads to itself.
    return Path(os.path.realpath(path))
