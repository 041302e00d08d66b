# SPDX-License-Identifier: Apache-2.0
"""The command line of the benchmarks, as data."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.harness.changes import FEWEST_ROUNDS, Doubt
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import LATEST

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


def _number(
    kind: Callable[[str], float], low: float, high: float, words: str
) -> Callable[[str], float]:
    """Return a type for argparse: a number within bounds."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            message = f"{text!r} is not {words}"
            raise argparse.ArgumentTypeError(message)
        return value

    return parse


def _failures(text: str) -> frozenset[str]:
    chosen = frozenset(each.strip() for each in text.split(","))
    if not chosen <= set(FAILURES):
        message = f"{text!r} is not one of {', '.join(FAILURES)}, or several with commas"
        raise argparse.ArgumentTypeError(message)
    return chosen


_COUNT = _number(int, 1, 10_000_000, "a whole number from 1 to 10,000,000")
_ROUNDS = _number(int, FEWEST_ROUNDS, 1000, f"a whole number from {FEWEST_ROUNDS} to 1000")
_SECONDS = _number(float, 0, 86_400, "a number of seconds from 0 to 86,400")
_MEASUREMENT = _number(float, 0.001, 86_400, "a number of seconds from 0.001 to 86,400")
_SHARE = _number(float, 1e-9, 1 - 1e-9, "a number between 0 and 1")
# Option, type, default, the name of its value, help.
_MEASURE: tuple[tuple[str, Callable[[str], float], float | None, str, str], ...] = (
    ("sample-size", _COUNT, 100, "N", "samples of each benchmark (100)"),
    ("warm-up-time", _SECONDS, 3.0, "S", "seconds before the first sample (3)"),
    ("measurement-time", _MEASUREMENT, 5.0, "S", "seconds for the samples of one benchmark (5)"),
    ("time-cap", _MEASUREMENT, 100.0, "S", "seconds after which it gets fewer samples (100)"),
    ("processes", _ROUNDS, None, "N", "rounds of --ab (as many as see twice the noise)"),
)
_DOUBTS = (
    ("confidence-level", _SHARE, 0.95, "P", "of the intervals (0.95)"),
    ("significance-level", _SHARE, 0.05, "P", "largest adjusted p-value of a change (0.05)"),
    ("noise-threshold", _SHARE, 0.05, "P", "changes within this share are none (0.05)"),
)
_ACTIONS = (
    ("list", "list suites and benchmarks"),
    ("quick", "few samples of everything short, 3 minutes; judges nothing"),
    ("test", "run and verify each body once; time nothing"),
    ("memory", "prove that nothing is copied; time nothing"),
    ("check-targets", "judge what is stored; measure nothing"),
)
_BASELINES = (
    ("save-baseline", "keep these figures under a name"),
    ("baseline", "show ratios to a baseline that has every benchmark; no verdicts"),
    ("baseline-lenient", "show ratios to what a baseline has"),
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
    for title, lines in (("how much is measured", _MEASURE), ("how sure it must be", _DOUBTS)):
        group = made.add_argument_group(title)
        for name, kind, default, value, said in lines:
            group.add_argument(f"--{name}", type=kind, default=default, metavar=value, help=said)
    stored = made.add_argument_group("what it is compared with").add_mutually_exclusive_group()
    for name, said in _BASELINES:
        stored.add_argument(f"--{name}", metavar="NAME", help=said)
    out = made.add_argument_group("what comes out")
    formats = ("text", "json", "csv")
    out.add_argument("--format", choices=formats, default="text", help="of the output (text)")
    said = "regressed (with --ab), target, or both with a comma"
    out.add_argument("--fail-on", type=_failures, default=frozenset(), metavar="WHAT", help=said)
    said = "store and report (build/benchmarks)"
    out.add_argument("--output-dir", type=Path, default=OUTPUT, metavar="DIR", help=said)
    out.add_argument("--no-report", action="store_true", help="write no pages")
    return made


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    suites: tuple[str, ...]  # as typed; none means all
    filter: str  # a regular expression; "" finds everything
    action: str  # "measure", "list", "test", "memory", "targets", "load" or "ab"
    quick: bool  # nothing is judged
    settings: Settings
    doubt: Doubt
    name: str  # whose figures are shown: the latest, or a baseline's
    other: str  # the other venv of "ab"
    rounds: int | None  # of "ab"; None is as many as its power asks for
    save_as: str | None
    baseline: str | None
    lenient: bool
    format: str
    fail_on: frozenset[str]
    output: Path
    report: bool


def _action(given: argparse.Namespace) -> str:
    for action in ("list", "test", "memory", "ab"):
        if getattr(given, action):
            return action
    if given.check_targets:
        return "targets"
    return "load" if given.load_baseline else "measure"


def _contradiction(given: argparse.Namespace) -> str:
    """Return what cannot be done together, or ""."""
    if given.ab and (given.baseline or given.baseline_lenient or given.save_baseline):
        return "--ab compares with the other build, and with no baseline"
    if given.processes and not given.ab:
        return "--processes are the rounds of --ab"
    if "regressed" in given.fail_on and not given.ab:
        return "--fail-on regressed needs a verdict, and only --ab gives one"
    if "target" in given.fail_on and given.quick:
        return "--quick judges no target"
    return ""


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; wrong options end the process with status 3."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    filters = arguments[cut + 1 :]
    read = parser()
    given = read.parse_args(arguments[:cut])
    if len(filters) > 1:
        read.error(f"one filter follows --, not {len(filters)}: join expressions with |")
    if wrong := _contradiction(given):
        read.error(wrong)
    settings = Settings(
        samples=given.sample_size,
        warm_up=given.warm_up_time,
        measurement=given.measurement_time,
        time_cap=given.time_cap,
    )
    return Options(
        suites=tuple(given.suites),
        filter=filters[0] if filters else "",
        action=_action(given),
        quick=given.quick,
        settings=settings.quick() if given.quick else settings,
        doubt=Doubt(given.confidence_level, given.significance_level, given.noise_threshold),
        name=given.load_baseline or LATEST,
        other=given.ab or "",
        rounds=given.processes,
        save_as=given.save_baseline,
        baseline=given.baseline or given.baseline_lenient,
        lenient=bool(given.baseline_lenient),
        format=given.format,
        fail_on=given.fail_on,
        output=given.output_dir,
        report=not given.no_report,
    )
