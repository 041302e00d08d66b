# SPDX-License-Identifier: Apache-2.0
"""A process in which a job runs under the injector, for as long as it survives.

    python -m tests.faults.worker JOB FOLDER EVENTS

JOB is the module and the name of a kind of job, as `tests.faults.file_jobs:file`; FOLDER is empty.
The process reads requests from standard input and answers on the descriptor EVENTS, each a line of
JSON.
"""

import ctypes
import errno
import faulthandler
import gc
import hashlib
import importlib
import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import quarrow as qr

from tests.faults.fault_list import CALLS, MEMORY_CALLS, Fault, code_of
from tests.faults.job import Files, JobKind, facts, read_files, write_files

Answer = dict[str, Any]
State = dict[str, str]  # of a folder: the digest of each file

_TYPED = (qr.QuarrowError, OSError, MemoryError)
_OUR_NAME = re.compile(r"\..*\.quarrow-.*")
# What cleans up and what brings old files back needs these. Nothing is removed by a name that could
# not be looked at: it may be another's by now.
_REMOVING = ("unlink", "stat", "fstat")
_UNDOING = ("rename", "unlink", "stat", "fstat")
_NEVER = (sys.maxsize, 0)
_LEARNING_RUNS = 3


class Injector:
    """The preloaded library, by its functions."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.quarrow_fault_disarm.restype = ctypes.c_long
        self._library.quarrow_fault_counted.restype = ctypes.c_long

    def arm(self, call: str, first: int, last: int, code: int) -> None:
        """Count, and let some calls of a kind fail."""
        numbers = (ctypes.c_long(first), ctypes.c_long(last))
        self._library.quarrow_fault_arm(call.encode(), *numbers, code)

    def disarm(self) -> int:
        """Return how many calls failed."""
        return int(self._library.quarrow_fault_disarm())

    def counted(self) -> dict[str, int]:
        """Return how many calls of each kind came while it was armed."""
        return {call: self._library.quarrow_fault_counted(call.encode()) for call in CALLS}

    def deny(self, call: str, error: str) -> None:
        """Let every call of a kind fail while it is armed."""
        self._library.quarrow_fault_deny(call.encode(), code_of(error))


@dataclass
class Outcome:
    """What one run came to."""

    result: str = ""
    error: str = ""  # the exception, or the exit code, in words; empty for success
    problem: str = ""
    injected: int = 0


class Worker:
    """Runs one job, whole or with a fault in it, and looks at what is left."""

    def __init__(self, kind: JobKind, folder: Path) -> None:
        for name in ("in", "out"):
            (folder / name).mkdir()
        self._cold = kind.cold
        self._lockless = "flock" in kind.denied
        self._job = kind.prepare(folder)
        self._out = folder / "out"
        self._injector = Injector()
        for call, error in kind.denied.items():
            self._injector.deny(call, error)
        self._reference = ""
        self._old = self._digests(self._job.old)
        self._new: State = {}
        self._unraisable: list[str] = []
        sys.unraisablehook = lambda what: self._unraisable.append(f"{what.exc_type.__name__}")
        # What lives already is not looked through again after each run.
        gc.freeze()

    def learn(self) -> Answer:
        """Run the job without a fault: what it gives, and how often it calls what."""
        results, counted = [], []
        for _ in range(_LEARNING_RUNS):
            write_files(self._out, self._job.old)
            outcome = self._run()
            counted.append(self._injector.counted())
            if outcome.error:
                return {"problem": outcome.error}
            results.append(outcome.result)
        self._reference, self._new = results[-1], self._state()
        if len(set(results)) > 1:
            return {"problem": "the job gives something else each time"}
        return {
            "counted": counted[0 if self._cold else -1],
            "expected": [self._reference, self._new],
        }

    def expect(self, reference: str, new: State) -> Answer:
        """Take what `learn` found in another process, and be as warm as that one."""
        self._reference, self._new = reference, new
        if not self._cold:
            write_files(self._out, self._job.old)
            self._run()
        return {}

    def inject(self, call: str, error: str, lasts: bool, number: int) -> Answer:  # noqa: FBT001
        """Let the call of that number fail, and if it lasts all after it; tell what went wrong."""
        fault = Fault(call, error, lasts)
        write_files(self._out, self._job.old)
        before = open_descriptors()
        outcome = self._run(fault, number)
        problems = [outcome.problem] if outcome.problem else []
        if not outcome.error and outcome.result != self._reference:
            problems.append("success with a wrong result")
        hindered = lasts and call in _UNDOING
        litter = hindered or call in _REMOVING
        if outcome.error and hindered:
            problems += self._lost_files()
        else:
            problems += self._wrong_files(succeeded=not outcome.error, litter=litter)
        problems += more_descriptors(before)
        if litter and self._lockless:
            self._clean_by_hand()
        again = self._run()
        if again.error or again.result != self._reference:
            problems.append(f"the next call: {again.error or 'a wrong result'}")
        problems += [f"the next call: {each}" for each in self._wrong_files(succeeded=True)]
        problems += [f"the next call: {each}" for each in more_descriptors(before)]
        return {"injected": outcome.injected, "error": outcome.error, "problems": problems}

    def _run(self, fault: Fault | None = None, number: int = 0) -> Outcome:
        self._job.before()
        self._unraisable.clear()
        if fault is None:
            self._injector.arm("", *_NEVER, 0)
        else:
            self._injector.arm(fault.call, number, _NEVER[0] if fault.lasts else number, fault.code)
        outcome = Outcome()
        try:
            value = self._job.run()
        except BaseException as error:  # noqa: BLE001 (which ones come is the question)
            outcome.injected = self._injector.disarm()
            outcome.error = f"{type(error).__name__}: {error}"
            outcome.problem = wrong_type(error, fault)
        else:
            outcome.injected = self._injector.disarm()
            outcome.error = self._job.failed(value) or ""
            if outcome.error.startswith("untyped"):
                outcome.problem = outcome.error
            if not outcome.error:
                compared = repr(facts(self._job.result(value)))
                outcome.result = hashlib.sha256(compared.encode()).hexdigest()
            del value
        gc.collect()
        if self._unraisable and not outcome.problem:
            outcome.problem = f"unraisable: {self._unraisable}"
        return outcome

    def _clean_by_hand(self) -> None:
        """Do what the errors ask for: without locks nobody else can tell that a file was left."""
        for path in self._out.iterdir():
            if _OUR_NAME.fullmatch(path.name):
                path.unlink()

    def _lost_files(self) -> list[str]:
        """Look for the old files or the new under any name: the next call puts them right."""
        state = self._state()
        here = set(state.values())
        for names in self._sets(state):
            old, new = (part_of(each, names) for each in (self._old, self._new))
            if not (here >= set(old.values()) or here >= set(new.values())):
                return [f"neither all old files nor all new: {described(state, old, new)}"]
        return []

    def _sets(self, state: State) -> list[set[str]]:
        """Return the names that belong together: each page by itself, and all others."""
        pages = set(self._job.pages)
        return [*({page} for page in pages), {*state, *self._old, *self._new} - pages]

    def _wrong_files(self, *, succeeded: bool, litter: bool = False) -> list[str]:
        """Compare the folder; with `litter` our own other names in it do not count."""
        state = self._state()
        if litter:
            state = {name: each for name, each in state.items() if not _OUR_NAME.fullmatch(name)}
        problems = []
        for names in self._sets(state):
            found, old, new = (part_of(each, names) for each in (state, self._old, self._new))
            if found != new and (succeeded or found != old):
                expected = "the new files" if succeeded else "the old files or the new"
                problems.append(f"not {expected}, but {described(found, old, new)}")
        return problems

    def _state(self) -> State:
        return self._digests(read_files(self._out))

    def _digests(self, files: Files) -> State:
        return {name: self._digest(name, files[name]) for name in sorted(files)}

    def _digest(self, name: str, content: bytes) -> str:
        if name in self._job.pages and content.rstrip().endswith(b"</html>"):
            return "a whole page"
        return hashlib.sha256(content).hexdigest()


def wrong_type(error: BaseException, fault: Fault | None) -> str:
    """Return what is wrong with raising this, if anything."""
    said = f"{type(error).__module__}.{type(error).__name__}: {error}"
    if not isinstance(error, _TYPED):
        return f"untyped: {said}"
    if fault is None or fault.call not in (*MEMORY_CALLS, "pthread_create"):
        return ""
    out_of_memory = isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    )
    if fault.call == "pthread_create" or not out_of_memory:
        return f"another error than what happened: {said}"
    return ""


def part_of(state: State, names: Iterable[str]) -> State:
    """Return the files of those names that are there."""
    return {name: state[name] for name in names if name in state}


def described(found: State, old: State, new: State) -> str:
    """Say of each file what it is."""

    def word(name: str) -> str:
        for state, said in ((old, "old"), (new, "new")):
            if found.get(name) == state.get(name):
                return said
        return "different" if name in found else "missing"

    return ", ".join(f"{name} {word(name)}" for name in sorted({*found, *old, *new})) or "nothing"


def open_descriptors() -> dict[str, str]:
    """Return what each descriptor of this process leads to."""
    opened = {}
    for path in Path("/proc/self/fd").iterdir():
        try:
            opened[path.name] = str(path.readlink())
        except FileNotFoundError:
            continue  # that of the listing itself
    return opened


def more_descriptors(before: dict[str, str]) -> list[str]:
    """Say which descriptors were not there before."""
    more = {number: to for number, to in open_descriptors().items() if number not in before}
    return [f"a descriptor more: {to}" for to in more.values()]


def main(job: str, folder: str, events: str) -> None:
    """Answer requests until standard input ends."""
    faulthandler.enable()
    module, _, name = job.partition(":")
    kind = importlib.import_module(module).KINDS[name]
    # Messages and reports name files; so they are the same in every process.
    os.chdir(folder)
    worker = Worker(kind, Path())
    with os.fdopen(int(events), "w") as answers:
        for line in sys.stdin:
            os.ftruncate(2, 0)
            request = json.loads(line)
            answer = getattr(worker, request.pop("do"))(**request)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
