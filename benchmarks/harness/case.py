# SPDX-License-Identifier: Apache-2.0
"""One benchmark: what a suite declares and what a worker runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Role = Literal["ours", "copy", "legacy", "peer", "control"]


class WrongResultError(Exception):
    """What a benchmark computed is not what it should be: its time means nothing."""


def accept_anything(result: object) -> None:
    """Verify nothing: for controls, which compute nothing."""
    del result


def call_stats(result: object) -> list[Any]:
    """Return the stamps that quarrow left in a result, one `CallStats` for each call."""
    stats = getattr(result, "stats", None)
    return [] if stats is None else [stats]


@dataclass(frozen=True)
class Job:
    """Something to time, with its inputs ready.

    Attributes
    ----------
    call : callable
        The work; what it returns is dropped after the clocks have been read.
    verify : callable
        Raises `WrongResultError`; called once with the first result, outside the timing.
    stats : callable
        From a result to the `CallStats` of the calls in it.
    before : callable or None
        Runs before every timed block, outside the clocks: a pause, another input, emptied caches.
    whole : bool
        The caller waits for the block and for nothing else: the binding's share is of its wall
        time. Otherwise it is of the time from each call's first stamp to its last.
    """

    call: Callable[[], object]
    verify: Callable[[Any], None] = accept_anything
    stats: Callable[[Any], list[Any]] = call_stats
    before: Callable[[], object] | None = None
    whole: bool = False


@dataclass(frozen=True)
class Case:
    """A named benchmark of a suite.

    Attributes
    ----------
    id : str
        Unique in its suite; lower case, digits and underscores: the name of its page and folder.
    title : str
        One line for a reader.
    prepare : callable
        Makes the inputs and returns the job; called once, before the first sample.
    role : str
        "ours", "copy" (a reference), "legacy" (lists), "peer", or "control" (the harness itself).
    package : str
        Whose code is timed: the name of a distribution.
    chart, line : str
        The chart of the suite's page, and its line over `size`, that it belongs to; "" is none.
    size : float
        Its place on that plot, in `size_unit`.
    bytes : int
        Of the input of one call; 0 where throughput means nothing.
    threads : int
        That may work on one call.
    calls : int
        In one timed block, for what takes microseconds.
    copy, legacy : str
        The ids of the copy and of the list call that do the same bytes; "" is none.
    job : str
        Cases with the same word do the same job: "int4 40 MB". The best peer is looked for in it.
    seconds : float
        About what one call takes where that is long: for the estimate and for --quick.
    memory : int or None
        The bytes by which one call may raise the peak of the process; None is not looked at.
    alone : bool
        Measured in a process of its own: others would feel what it leaves behind.
    """

    id: str
    title: str
    prepare: Callable[[], Job] = field(repr=False, compare=False)
    role: Role = "ours"
    package: str = "quarrow"
    line: str = ""
    size: float = 0.0
    size_unit: str = "MB"
    bytes: int = 0
    threads: int = 1
    calls: int = 1
    copy: str = ""
    legacy: str = ""
    job: str = ""
    seconds: float = 0.0
    memory: int | None = None
    chart: str = ""
    alone: bool = False


def run_by_program() -> Job:
    """Stand for the job of a case that a C++ program runs."""
    message = "a C++ program runs this benchmark"
    raise RuntimeError(message)


@dataclass(frozen=True)
class Suite:
    """What a suite's module returns from `suite()`.

    Attributes
    ----------
    name : str
        As typed on the command line.
    title : str
        One line.
    about : str
        What is timed and what is not, for the page.
    cases : tuple of Case
        Those that this machine can run.
    missing : dict
        What is left out here, and why.
    program : Path or None
        The C++ program that runs the cases; they have no jobs of their own then.
    """

    name: str
    title: str
    about: str
    cases: tuple[Case, ...]
    missing: dict[str, str] = field(default_factory=dict)
    program: Path | None = None
