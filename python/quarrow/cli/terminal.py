# SPDX-License-Identifier: Apache-2.0
"""What reaches the terminal: escaped text, and sizes as people read them."""

import os
import sys
from contextlib import suppress

_LARGEST_SHOWN = 999.5  # what rounds to 1000 is shown in the next unit


def printable(text: str) -> str:
    r"""Return `text` with everything that could steer a terminal written as an escape.

    Control characters, line breaks, bidirectional marks, other invisible characters and lone
    surrogates become `\x1b`, `\u202e` and the like, so the result is one harmless line.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def size_text(size_bytes: int) -> str:
    """Return a number of bytes in decimal units: `512 B`, `3.10 kB`, `1.09 GB`."""
    value, units = float(size_bytes), iter(("kB", "MB", "GB", "TB"))
    unit = "B"
    while value >= _LARGEST_SHOWN and (larger := next(units, None)):
        value, unit = value / 1000, larger
    digits = 0 if unit == "B" else max(0, 3 - len(str(round(value))))
    return f"{value:.{digits}f} {unit}"


def wants_colour() -> bool | None:
    """Return False where no colour is wanted; None leaves it to what the output is."""
    unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if unwanted else None


def complain(kind: str, message: str) -> None:
    """Write one line to standard error: `quarrow: KIND: MESSAGE`.

    Where it cannot be written nobody reads it, and the exit code says the rest.
    """
    # print() would take None for standard output.
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"quarrow: {kind}: {printable(message)}", file=sys.stderr, flush=True)


def abandon_output() -> None:
    """Send what is still to be flushed to standard output nowhere: its reader has gone."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
