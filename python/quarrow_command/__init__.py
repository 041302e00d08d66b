# SPDX-License-Identifier: Apache-2.0
"""The script `quarrow`: what must hold before the package is there, whose imports take a while."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

__all__ = ["SIGNALS", "end_on_signals", "main"]

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def main() -> None:
    """Run the command line of quarrow; see `quarrow.cli.main`."""
    end_on_signals()
    from quarrow.cli import main as run  # noqa: PLC0415 (signals come first)

    run()


def end_on_signals() -> None:
    """Make SIGINT and SIGTERM end the process at once, except where the caller has them ignored.

    While modules are imported there is nothing to clean up, and an exception may be lost: Python
    runs code there, such as callbacks of weak references, that passes none on.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    # Not through sys.stderr, which may be in the middle of something. Where it was closed from the
    # start, its number may be that of another file.
    if sys.stderr is not None:
        with suppress(OSError):
            os.write(2, f"quarrow: error: {SIGNALS[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)
