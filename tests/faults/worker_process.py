# SPDX-License-Identifier: Apache-2.0
"""The other end of `worker.py`: a process that may die of what it is asked to do."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent.parent
# A job takes milliseconds; this is for a machine that does much else.
PATIENCE = 60.0


class WorkerDeathError(Exception):
    """It ended instead of answering; the message says how.

    Attributes
    ----------
    trace
        What it wrote to standard error since the last request.
    """

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message)
        self.trace = trace


class WorkerProcess:
    """A process for one job, with a folder of its own in memory.

    Parameters
    ----------
    job
        The module and the name of its kind.
    injector
        The library to preload.
    patience
        How many seconds without an answer are a hang.
    """

    def __init__(self, job: str, injector: Path, patience: float = PATIENCE) -> None:
        self._patience = patience
        memory = Path("/dev/shm")
        place = memory if os.access(memory, os.W_OK) else None
        self._folder = Path(tempfile.mkdtemp(prefix="quarrow-faults-", dir=place))
        (self._folder / "job").mkdir()
        self._errors = (self._folder / "errors").open("ab+")
        answers, events = os.pipe()
        self._answers = os.fdopen(answers)
        module = (sys.executable, "-m", "tests.faults.worker")
        self._process = subprocess.Popen(
            [*module, job, self._folder / "job", str(events)],
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": str(injector), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=(events,),
            text=True,
        )
        os.close(events)

    def ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer; raise WorkerDeathError when there is none."""
        request = json.dumps({"do": what, **arguments})
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            print(request, file=self._process.stdin, flush=True)
        readable, _, _ = select.select([self._answers], [], [], self._patience)
        if not readable:
            self._process.kill()
            self._process.wait()
            msg = f"no end within {self._patience:.0f} s"
            raise WorkerDeathError(msg, self.trace())
        line = self._answers.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        msg = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        raise WorkerDeathError(msg, self.trace())

    def trace(self) -> str:
        """Return what the process wrote to standard error since the last request."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._answers.close()
        self._errors.close()
        shutil.rmtree(self._folder)
