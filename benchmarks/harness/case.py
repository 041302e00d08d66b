# SPDX-License-Identifier: Apache-2.0
"""One benchmark: what a suite declares and what a worker runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

# "copy" is a reference, "legacy" takes lists, "control" is the harness itself.
Role = Literal["ours", "copy", "legacy", "peer", "control"]


class RefusedError(Exception):
    """What was asked for does not exist or cannot be used; the message says what can."""


class WrongResultError(Exception):
    """What a benchmark computed is not what it should be: its time means nothing."""


def accept_anything(result: object) -> None:
    """Verify nothing: for controls, which compute nothing."""


def call_stats(result: object) -> list[Any]:
    """Return the stamps that quarrow left in a result, one `CallStats` for each call."""
    stats = getattr(result, "stats", None)
    return [] if stats is None else [stats]


def no_stats(result: object) -> list[Any]:
    return []


@dataclass(frozen=True)
class Job:
    """Something to time, with its inputs ready."""

    # The work; what it returns is dropped after the clocks have been read.
    call: Callable[[], object]
    # Raises `WrongResultError`; called once with the first result, outside the clocks.
    verify: Callable[[Any], None] = accept_anything
    # From a result to the `CallStats` of the calls in it.
    stats: Callable[[Any], list[Any]] = call_stats
    # Runs before every timed block, outside the clocks: a pause, another input, emptied caches.
    before: Callable[[], object] | None = None
    # The caller waits for the block and for nothing else: the binding's share is of its wall time.
    # Otherwise it is of the time from each call's first stamp to its last.
    whole: bool = False


@dataclass(frozen=True)
class Case:
    id: str  # unique in its suite; lower case, digits, underscores: a page's and a folder's name
    title: str  # one line for a reader
    prepare: Callable[[], Job] = field(repr=False, compare=False)  # once, before the first sample
    role: Role = "ours"
    package: str = "quarrow"  # the distribution whose code is timed
    line: str = ""  # of its chart, over `size`; "" is none
    size: float = 0.0
    size_unit: str = "MB"
    bytes: int = 0  # of the input of one call; 0 where throughput means nothing
    threads: int = 1  # that may work on one call
    calls: int = 1  # in one timed block, for what takes microseconds
    copy: str = ""  # the id of the copy of the same bytes; "" is none
    legacy: str = ""  # the id of the list call that does the same
    job: str = ""  # the same word, the same job: the best peer is looked for in it
    seconds: float = 0.0  # about what one call takes where that is long
    memory: int | None = None  # bytes by which a call may raise the peak; None is not looked at
    chart: str = ""  # of the suite's page; "" is none
    alone: bool = False  # in a process of its own: others would feel what it leaves behind

    def described(self) -> dict[str, Any]:
        """Return what is stored of it: all but the job."""
        return {name: value for name, value in vars(self).items() if name != "prepare"}


@dataclass(frozen=True)
class Suite:
    """The benchmarks of a module of `suites`, which tells title and about in its docstring."""

    name: str  # as typed on the command line
    title: str
    about: str  # what is timed and what is not, for the page
    cases: tuple[Case, ...]  # those that this machine can run
    missing: dict[str, str] = field(default_factory=dict)  # what is left out here, and why
    of_clone: bool = False  # what is timed is of this clone, whichever venv calls it
