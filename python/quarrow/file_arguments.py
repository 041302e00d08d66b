# SPDX-License-Identifier: Apache-2.0
"""The arguments that the calls for files share."""

import os
from collections.abc import Callable

from quarrow import _core
from quarrow.exceptions import InvalidInputError, UnsupportedFormatError
from quarrow.safe_repr import safe_repr

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Progress = Callable[[int, int, str], object]


def check_options(progress: object, **flags: object) -> None:
    """Raise InvalidInputError for what is no callable or no truth value."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            msg = f"{name} must be True or False, not {safe_repr(flag)}"
            raise InvalidInputError(msg)
    if progress is not None and not callable(progress):
        msg = f"progress must be callable or None, not {safe_repr(progress)}"
        raise InvalidInputError(msg)


def is_text(value: object) -> bool:
    """Whether it is a str that files and Arrow can hold: lone surrogates are no UTF-8."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_word(name: str, value: object, *words: str) -> None:
    """Raise InvalidInputError for anything but these words."""
    if not isinstance(value, str) or value not in words:
        msg = f"{name} must be {' or '.join(map(repr, words))}, not {safe_repr(value)}"
        raise InvalidInputError(msg)


def path_bytes(path: Path, role: str) -> bytes:
    """Return the path as the operating system takes it, or raise InvalidInputError."""
    try:
        encoded = os.fsencode(path)
    except (TypeError, UnicodeEncodeError):
        msg = f"{role} must be a path, not {safe_repr(path)}"
        raise InvalidInputError(msg) from None
    if b"\0" in encoded:
        msg = f"{role} must be a path without NUL characters, not {path!r}"
        raise InvalidInputError(msg)
    return encoded


def open_source(path: bytes, io: str) -> _core.OpenCheckpoint:
    """Open the source of a job."""
    check_word("io", io, "read", "mmap")
    return _core.OpenCheckpoint(path, io)


def container_of(path: bytes, container: object = None) -> str:
    """Return the kind of file to write: the one that is named, or else that of the path's ending.

    Files whose ending says nothing are of safetensors.
    """
    if container is None:
        return _core.container_of(path) or "safetensors"
    names = _core.container_names()
    if isinstance(container, str) and container in names:
        return container
    msg = f"container must be {', '.join(map(repr, names))} or None, not {safe_repr(container)}"
    raise UnsupportedFormatError(msg)
