# SPDX-License-Identifier: Apache-2.0
"""Lets the calls of jobs fail one after the other, and counts."""

import itertools
import random
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.fault_list import FAULTS, Fault
from tests.faults.job import JobKind
from tests.faults.worker_process import PATIENCE, WorkerDeathError, WorkerProcess

_LAST_LINES = 25


@dataclass(frozen=True)
class Failure:
    """A fault that a job did not take well."""

    job: str
    fault: Fault
    number: int
    problems: list[str]
    trace: str

    def __str__(self) -> str:
        lines = [f"{self.job}: {self.fault}, call number {self.number}"]
        lines += [f"  {each}" for each in self.problems]
        lines += [f"    {line}" for line in self.trace.splitlines()[-_LAST_LINES:]]
        fault = f"--call {self.fault.call} --error {self.fault.error}"
        lasts = " --lasts" if self.fault.lasts else ""
        lines.append(f"  again: --job {self.job} {fault}{lasts} --at {self.number}")
        return "\n".join(lines)


@dataclass
class Tally:
    """What became of the faults of one job."""

    injected: int = 0
    left_out: int = 0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """Which faults to try.

    Attributes
    ----------
    every, sample
        Of each fault the first so many calls, and so many of the others, drawn by `seed`.
    calls, errors, lasts
        Those alone; all where empty or None.
    at
        This call alone.
    until
        A time of `time.monotonic`; after it only the first call of each fault. None is never.
    """

    every: int
    sample: int
    seed: int
    calls: Collection[str] = ()
    errors: Collection[str] = ()
    lasts: bool | None = None
    at: int | None = None
    until: float | None = None

    def faults(self, kind: JobKind) -> list[Fault]:
        """Return what may happen to a job."""
        return [
            fault
            for fault in FAULTS
            if (not kind.calls or fault.call in kind.calls)
            and (not self.calls or fault.call in self.calls)
            and (not self.errors or fault.error in self.errors)
            and (self.lasts is None or fault.lasts == self.lasts)
            and fault.call not in kind.denied
        ]

    def numbers(self, job: str, fault: Fault, counted: int) -> Iterator[int]:
        """Yield the calls to let fail; those of the first ones go on until none is met."""
        if self.at is not None:
            yield self.at
            return
        yield 1
        rest = range(self.every + 1, counted + 1)
        drawn = random.Random(f"{self.seed} {job} {fault}")
        sample = sorted(drawn.sample(rest, min(self.sample, len(rest))))
        for number in itertools.chain(range(2, self.every + 1), sample):
            if self.until is not None and time.monotonic() > self.until:
                return
            yield number


class JobRun:
    """All faults of one job.

    Parameters
    ----------
    name
        The module and the name of its kind, as the worker takes it.
    kind
        The same.
    injector
        The library to preload.
    found
        Called with each failure as it comes.
    patience
        How many seconds without an answer are a hang.
    """

    def __init__(
        self,
        name: str,
        kind: JobKind,
        injector: Path,
        *,
        found: Callable[[Failure], object] = lambda _: None,
        patience: float = PATIENCE,
    ) -> None:
        self._name = name
        self._kind = kind
        self._injector = injector
        self._found = found
        self._patience = patience
        self.tally = Tally()

    def run(self, choice: Choice) -> Tally:
        """Try what was chosen."""
        with ExitStack() as self._processes:
            self._process: WorkerProcess | None = self._processes.enter_context(self._start())
            try:
                learned = self._process.ask("learn")
            except WorkerDeathError as death:
                learned = {"problem": f"{death}\n{death.trace}"}
            if "problem" in learned:
                self._fail(Fault("no call", "fails"), 0, [learned["problem"]], "")
                return self.tally
            self._expected = dict(zip(("reference", "new"), learned["expected"], strict=True))
            if self._kind.cold:
                self._process = None
            for fault in choice.faults(self._kind):
                self._try(fault, choice, learned["counted"][fault.call])
        return self.tally

    def _try(self, fault: Fault, choice: Choice, counted: int) -> None:
        tried = 0
        for number in choice.numbers(self._name, fault, counted):
            injected = self._inject(fault, number)
            tried += injected
            if not injected and number >= counted:
                break
        self.tally.injected += tried
        self.tally.left_out += max(0, counted - tried)

    def _inject(self, fault: Fault, number: int) -> bool:
        """Let one call fail; return whether there was one."""
        process = self._process or self._ready()
        try:
            answer: dict[str, Any] = process.ask("inject", **fault._asdict(), number=number)
        except WorkerDeathError as death:
            answer = {"injected": 1, "problems": [str(death)]}
            trace = death.trace
            self._process = None
        else:
            trace = process.trace()
        if answer["problems"]:
            failure = Failure(
                self._name.partition(":")[2], fault, number, answer["problems"], trace
            )
            self.tally.failures.append(failure)
            self._found(failure)
        if self._kind.cold:
            self._process = None
        return bool(answer["injected"])

    def _fail(self, fault: Fault, number: int, problems: list[str], trace: str) -> None:
        failure = Failure(self._name.partition(":")[2], fault, number, problems, trace)
        self.tally.failures.append(failure)
        self._found(failure)

    def _ready(self) -> WorkerProcess:
        self._processes.close()
        self._process = self._processes.enter_context(self._start())
        self._process.ask("expect", **self._expected)
        return self._process

    def _start(self) -> WorkerProcess:
        return WorkerProcess(self._name, self._injector, self._patience)
