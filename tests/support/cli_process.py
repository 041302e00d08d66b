# SPDX-License-Identifier: Apache-2.0
"""The command line as a process of its own, on pipes or on a terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = (sys.executable, "-m", "quarrow.cli")

# Variables by which a test run's own terminal would reach the command.
_TERMINAL_VARIABLES = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}


def run_on_pipes(
    folder: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder and capture both of its streams."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def run_on_terminal(
    folder: Path,
    *arguments: str,
    command: Sequence[str] = COMMAND,
    columns: int = 80,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run the command on a terminal; return its exit code and all that it wrote there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    job = subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=_environment({"TERM": "xterm-256color", "PYTHONUTF8": "1", **(environment or {})}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    chunks = []
    try:
        while chunk := os.read(master, 65536):
            chunks.append(chunk)
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(master)
    return job.wait(), b"".join(chunks).decode()


def _environment(changes: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if name not in _TERMINAL_VARIABLES
    }
    return inherited | dict(changes or {})
