# SPDX-License-Identifier: Apache-2.0
"""Which calls are made to fail, and how."""

import errno
from typing import NamedTuple

# What the injector takes for faults that are no errno; see injector.h.
SHORT, END = -1, -2
_WORDS = {"short": SHORT, "end": END}

MEMORY_CALLS = ("new", "malloc")
# Once is a passing shortage; on is a full disk, a file system that cannot: the n-th and all after.
_ONCE: dict[str, tuple[str, ...]] = {
    "new": ("ENOMEM",),
    "malloc": ("ENOMEM",),
    "mmap": ("ENOMEM", "ENODEV"),
    "pthread_create": ("EAGAIN",),
    "open": ("EMFILE", "EIO", "EACCES", "EINTR", "ENOSPC"),
    "tmpfile": ("EOPNOTSUPP", "EISDIR", "ENOSPC", "EMFILE", "EINTR"),
    "fopen": ("EMFILE", "EIO"),
    "close": ("EIO", "ENOSPC", "EINTR"),
    "opendir": ("EACCES", "EMFILE", "ENOMEM"),
    "readdir": ("EIO",),
    "read": ("EIO", "EINTR", "short"),
    "pread": ("EIO", "EINTR", "short", "end"),
    "write": ("EIO", "ENOSPC", "EINTR", "short"),
    "pwrite": ("EIO", "ENOSPC", "EINTR", "short"),
    "copy_file_range": ("EIO", "ENOSPC", "EXDEV", "EINTR", "short", "end"),
    "fallocate": ("ENOSPC", "EIO", "EINTR", "EOPNOTSUPP"),
    "ftruncate": ("EIO", "EINTR", "ENOSPC"),
    "fsync": ("EIO", "ENOSPC", "EINTR", "EINVAL"),
    "sync_file_range": ("EIO", "ENOSPC", "ENOSYS", "EINTR"),
    "flock": ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINTR", "EWOULDBLOCK"),
    "link": ("EIO", "EEXIST", "EPERM", "ENOENT", "EOPNOTSUPP", "ENOSPC"),
    "rename": ("EIO", "EACCES", "ENOSPC", "EXDEV"),
    "unlink": ("EIO", "EACCES"),
    "readlink": ("EIO", "EACCES"),
    "stat": ("EIO", "EACCES"),
    "fstat": ("EIO", "EOVERFLOW"),
    "fchmod": ("EPERM", "EIO"),
    "getrandom": ("ENOSYS", "EINTR"),
    "fcntl": ("EMFILE", "EINTR"),
    "access": ("EACCES", "EIO"),
    "getcwd": ("ENOENT", "ENOMEM"),
}
_ON: dict[str, tuple[str, ...]] = {
    "new": ("ENOMEM",),
    "malloc": ("ENOMEM",),
    "mmap": ("ENOMEM",),
    "pthread_create": ("EAGAIN",),
    "open": ("EMFILE", "EIO"),
    "close": ("EIO",),
    "read": ("EIO",),
    "pread": ("EIO", "short"),
    "write": ("ENOSPC", "short"),
    "pwrite": ("ENOSPC", "short"),
    "copy_file_range": ("EIO", "short"),
    "fsync": ("EIO",),
    "flock": ("ENOLCK",),
    "link": ("EPERM",),
    "rename": ("EIO",),
    "unlink": ("EIO",),
    "stat": ("EIO",),
    "fstat": ("EIO",),
}


class Fault(NamedTuple):
    """A kind of call, what happens to it, and whether that lasts."""

    call: str
    error: str
    lasts: bool = False

    @property
    def code(self) -> int:
        """What the injector takes."""
        return code_of(self.error)

    def __str__(self) -> str:
        return f"{self.call} {self.error}{'+' if self.lasts else ''}"


FAULTS = [
    *(Fault(call, error) for call, errors in _ONCE.items() for error in errors),
    *(Fault(call, error, lasts=True) for call, errors in _ON.items() for error in errors),
]
CALLS = tuple(_ONCE)


def code_of(error: str) -> int:
    """Return the number of an error's name."""
    return _WORDS[error] if error in _WORDS else int(getattr(errno, error))
