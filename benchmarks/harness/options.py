# SPDX-License-Identifier: Apache-2.0
"""The command line of the benchmarks, as data."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.harness.changes import FEWEST_ROUNDS
from benchmarks.harness.settings import Settings

OUTPUT = Path(__file__).parents[2] / "build" / "benchmarks"
FAILURES = ("regressed", "target")
INVALID = 3
EPILOG = """\
-- FILTER is a regular expression; benchmarks in whose name it is found are measured, and the copies
and list calls beside them. Baselines are kept for each machine apart.

exit status
  0    all went well (an inconclusive comparison is no failure)
  1    a benchmark regressed (--ab with --fail-on), memory grew, a body failed under --test
  2    a target was missed (with --fail-on, or --check-targets)
  3    wrong options, or a benchmark failed
  130  interrupted
"""


class _Parser(argparse.ArgumentParser):
    """Ends with the status for wrong options: 2, argparse's own, is taken."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(INVALID, f"{self.prog}: error: {message}\n")


def _number(kind: type, low: float, high: float, words: str) -> Callable[[str], float]:
    """Return a type for argparse: a number within bounds."""

    def parse(text: str) -> float:
        with contextlib.suppress(ValueError):
            value: float = kind(text)
            if low <= value <= high:
                return value
        message = f"{text!r} is not {words}"
        raise argparse.ArgumentTypeError(message)

    return parse


def _failures(text: str) -> frozenset[str]:
    chosen = frozenset(each.strip() for each in text.split(","))
    if not chosen <= set(FAILURES):
        message = f"{text!r} is not one of {', '.join(FAILURES)}, or several with commas"
        raise argparse.ArgumentTypeError(message)
    return chosen


_ROUNDS = f"a whole number from {FEWEST_ROUNDS} to 1000"
# Option, the numbers that it takes, the name of its value, help.
_MEASURE = (
    ("sample-size", _number(int, 1, 10_000_000, "a whole number from 1 to 10,000,000"),
     "N", "samples of each benchmark (100)"),
    ("warm-up-time", _number(float, 0, 86_400, "a number of seconds from 0 to 86,400"),
     "S", "seconds before the first sample (3)"),
    ("measurement-time", _number(float, 0.001, 86_400, "a number of seconds from 0.001 to 86,400"),
     "S", "seconds for the samples of one benchmark (5)"),
    ("time-cap", _number(float, 0.001, 86_400, "a number of seconds from 0.001 to 86,400"),
     "S", "seconds after which a benchmark gets fewer samples (100)"),
    ("processes", _number(int, FEWEST_ROUNDS, 1000, _ROUNDS),
     "N", "rounds of --ab (as many as see twice the noise)"),
)  # fmt: skip
# Options that say how much is measured, and the fields of `Settings`.
_AMOUNTS = {
    "sample_size": "samples",
    "warm_up_time": "warm_up",
    "measurement_time": "measurement",
    "time_cap": "time_cap",
}
# Options that not every action has a use for, and those that have.
_MEASURES, _SHOWS = ("measure", "ab"), ("measure", "ab", "check_targets", "load_baseline")
_USED_BY = {
    **dict.fromkeys(_AMOUNTS, _MEASURES),
    "save_baseline": ("measure",),
    "baseline": ("measure", "load_baseline"),
    "fail_on": _SHOWS,
    "format": _SHOWS,
}
_ACTIONS = (
    ("list", "list suites and benchmarks"),
    ("quick", "few samples of everything short, 3 minutes; judges nothing"),
    ("test", "run and verify each body once; time nothing"),
    ("memory", "prove that nothing is copied; time nothing"),
    ("check-targets", "judge what is stored; measure nothing"),
)
_BASELINES = (
    ("save-baseline", "keep these figures under a name"),
    ("baseline", "show ratios to what a baseline has; no verdicts"),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser; `-- FILTER` is cut off before it."""
    made = _Parser(
        prog="python -m benchmarks",
        usage="%(prog)s [SUITE ...] [options] [-- FILTER]",
        description="Measure quarrow beside copies, lists and peers; judge its targets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("suites", nargs="*", metavar="SUITE", help="which; none is all (--list)")
    what = made.add_argument_group("what is done").add_mutually_exclusive_group()
    for name, said in _ACTIONS:
        what.add_argument(f"--{name}", action="store_true", help=said)
    what.add_argument("--load-baseline", metavar="NAME", help="report a baseline; measure nothing")
    said = "measure this build and that of another venv in turn, for verdicts"
    what.add_argument("--ab", metavar="VENV", help=said)
    measured = made.add_argument_group("how much is measured")
    for name, kind, value, said in _MEASURE:
        measured.add_argument(f"--{name}", type=kind, metavar=value, help=said)
    stored = made.add_argument_group("what it is compared with").add_mutually_exclusive_group()
    for name, said in _BASELINES:
        stored.add_argument(f"--{name}", metavar="NAME", help=said)
    out = made.add_argument_group("what comes out")
    formats = ("text", "json", "csv")
    out.add_argument("--format", choices=formats, help="of the output (text)")
    said = "regressed (with --ab), target, or both with a comma"
    out.add_argument("--fail-on", type=_failures, default=frozenset(), metavar="WHAT", help=said)
    said = "store and report (build/benchmarks)"
    out.add_argument("--output-dir", type=Path, default=OUTPUT, metavar="DIR", help=said)
    out.add_argument("--no-report", action="store_true", help="write no pages")
    return made


class Options(argparse.Namespace):
    """What was asked for: the options by their names, and what follows from them."""

    suites: list[str]  # as typed; none means all
    filter: str  # a regular expression; "" finds everything
    quick: bool
    ab: str | None
    processes: int | None
    load_baseline: str | None
    save_baseline: str | None
    baseline: str | None
    format: str | None
    fail_on: frozenset[str]
    output_dir: Path
    no_report: bool

    @property
    def action(self) -> str:
        """What is done: an option of that name, or "measure"."""
        names = ("list", "test", "memory", "check_targets", "load_baseline", "ab")
        return next((name for name in names if getattr(self, name)), "measure")

    @property
    def settings(self) -> Settings:
        given = {field: getattr(self, name) for name, field in _AMOUNTS.items()}
        values = Settings(**{field: value for field, value in given.items() if value is not None})
        return values.quick() if self.quick else values

    def contradiction(self) -> str:
        """Return what cannot be done together, or ""."""
        if self.ab and (self.baseline or self.save_baseline):
            return "--ab compares with the other build, and with no baseline"
        if self.processes and not self.ab:
            return "--processes are the rounds of --ab"
        if self.quick and any(getattr(self, name) is not None for name in _AMOUNTS):
            return "--quick says itself how much is measured"
        if "regressed" in self.fail_on and not self.ab:
            return "--fail-on regressed needs a verdict, and only --ab gives one"
        if "target" in self.fail_on and self.quick:
            return "--quick judges no target"
        ignored = [
            name.replace("_", "-")
            for name, actions in _USED_BY.items()
            if getattr(self, name) not in {None, frozenset()} and self.action not in actions
        ]
        action = self.action.replace("_", "-")
        return f"--{ignored[0]} means nothing with --{action}" if ignored else ""


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; wrong options end the process with status 3."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    filters = arguments[cut + 1 :]
    read = parser()
    options = read.parse_args(arguments[:cut], Options(filter="".join(filters[:1])))
    if len(filters) > 1:
        read.error(f"one filter follows --, not {len(filters)}: join expressions with |")
    if wrong := options.contradiction():
        read.error(wrong)
    return options
