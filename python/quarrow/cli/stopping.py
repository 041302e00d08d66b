# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM as an exception that passes through a running job and stops it cleanly."""

import signal
from types import FrameType

from quarrow_command import SIGNALS


class Stopped(BaseException):
    """A signal asked the process to end. Not an Exception: nothing on the way may swallow it.

    Attributes
    ----------
    exit_code : int
        128 plus the signal's number, as shells report it.
    """

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(SIGNALS[signal.Signals(number)])


def stop_on_signals() -> None:
    """Make SIGINT and SIGTERM raise `Stopped`, except where the caller has them ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def ignore_signals() -> None:
    """Let SIGINT and SIGTERM pass: the end has come anyway."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C must not interrupt the cleaning up that the first one causes.
    ignore_signals()
    raise Stopped(number)
