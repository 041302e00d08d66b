# SPDX-License-Identifier: Apache-2.0
"""A signal in the middle of a job: exit code, one line, nothing left behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_process import COMMAND
from new_files import has_unnamed_file
from workload import HANG_SECONDS

# A test run in the background may have SIGINT ignored, and children inherit that.
DEFAULT_SIGINT = ("env", "--default-signal=INT")
IGNORED_SIGINT = ("env", "--ignore-signal=INT")


@contextmanager
def running_job(
    source: Path, *options: str, environment: tuple[str, ...] = DEFAULT_SIGINT
) -> Iterator[subprocess.Popen[str]]:
    """Start a job and wait until its new file exists, named or not; end it whatever happens."""
    arguments = ("quantize", source.name, "out.safetensors", "-f", "int8_rowwise", "--no-sync")
    job = subprocess.Popen(
        [*environment, *COMMAND, *arguments, *options],
        cwd=source.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + HANG_SECONDS
        while not (temporaries(source.parent) or has_unnamed_file(job.pid, source.parent)):
            assert job.poll() is None, job.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        yield job
    finally:
        job.kill()
        job.communicate()
        source.unlink()


def temporaries(folder: Path) -> list[Path]:
    return list(folder.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("number", "word", "code"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
)
def test_a_signal_stops_the_job_cleanly(
    huge_model: Path, number: signal.Signals, word: str, code: int
) -> None:
    with running_job(huge_model) as job:
        job.send_signal(number)
        output, errors = job.communicate(timeout=HANG_SECONDS)
        assert job.returncode == code
        assert (output, errors) == ("", f"quarrow: error: {word}\n")
        assert list(huge_model.parent.iterdir()) == [huge_model]


def test_a_signal_leaves_the_old_file(huge_model: Path) -> None:
    out = huge_model.parent / "out.safetensors"
    out.write_bytes(b"old")
    with running_job(huge_model, "--force") as job:
        job.terminate()
        assert job.wait(HANG_SECONDS) == 143
        assert out.read_bytes() == b"old"
        assert temporaries(out.parent) == []


SECOND_SIGNAL_WHILE_CLEANING_UP = """
import os, signal
from quarrow.cli.stopping import Stopped, stop_on_signals

stop_on_signals()
try:
    os.kill(os.getpid(), signal.SIGINT)
except Stopped as stopped:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    print(stopped.exit_code)
"""


def test_only_the_first_signal_counts() -> None:
    result = subprocess.run(
        [*DEFAULT_SIGINT, sys.executable, "-c", SECOND_SIGNAL_WHILE_CLEANING_UP],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "130\n", "")


# From the first to the last that the command imports; none of them by the script itself.
IMPORTED = ("quarrow", "quarrow._core", "numpy", "quarrow.cli", "typer", "rich", "quarrow.cli.app")
# SIGINT as soon as a module is looked for, or at the interpreter's end.
INTERRUPTED = """
import atexit, os, signal, sys
from quarrow_command import main

moment, sys.argv[1] = sys.argv[1], "--version"

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            # Where an exception would be reported and forgotten, as that of any destructor.
            Dropped()

class Dropped:
    def __del__(self):
        interrupt()

if moment == "atexit":
    atexit.register(interrupt)
sys.meta_path.insert(0, Finder())
main()
"""


@pytest.mark.parametrize(
    ("moment", "code", "words"),
    [
        *((module, 130, "quarrow: error: interrupted\n") for module in IMPORTED),
        ("atexit", 0, ""),
    ],
)
def test_a_signal_at_the_start_or_the_end_is_no_traceback(
    moment: str, code: int, words: str
) -> None:
    result = subprocess.run(
        [*DEFAULT_SIGINT, sys.executable, "-c", INTERRUPTED, moment],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (code, words)


def test_an_ignored_sigint_stays_ignored(huge_model: Path) -> None:
    with running_job(huge_model, environment=IGNORED_SIGINT) as job:
        job.send_signal(signal.SIGINT)
        # Were SIGINT not ignored, SIGTERM would come second, and only the first one counts.
        job.terminate()
        assert job.wait(HANG_SECONDS) == 143
