# SPDX-License-Identifier: Apache-2.0
"""The command line of the benchmarks, as data."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.harness.changes import Doubt
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import LATEST

OUTPUT = Path(__file__).parents[2] / "build" / "benchmarks"
FAILURES = ("regressed", "target")
INVALID = 3
EPILOG = """\
-- FILTER is a regular expression; benchmarks in whose name it is found are measured, and the copies
beside them. Baselines are kept for each machine apart.

exit status
  0    all went well (an inconclusive comparison is no failure)
  1    a benchmark regressed (with --fail-on), memory grew, or a body failed under --test
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
_SECONDS = _number(float, 0, 86_400, "a number of seconds from 0 to 86,400")
_RESAMPLES = _number(int, 10_000, 10_000_000, "a whole number from 10,000 to 10,000,000")
_MEASUREMENT = _number(float, 0.001, 86_400, "a number of seconds from 0.001 to 86,400")
_SHARE = _number(float, 1e-9, 1 - 1e-9, "a number between 0 and 1")


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
    made.add_argument(
        "suites", nargs="*", metavar="SUITE", help="which suites; none is all (--list)"
    )
    what = made.add_argument_group("what is done").add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list suites and benchmarks")
    what.add_argument(
        "--quick", action="store_true", help="few samples of everything short, 3 minutes"
    )
    what.add_argument(
        "--test", action="store_true", help="run and verify each body once; time nothing"
    )
    what.add_argument(
        "--memory", action="store_true", help="prove that nothing is copied; time nothing"
    )
    what.add_argument(
        "--check-targets", action="store_true", help="judge what is stored; measure nothing"
    )
    what.add_argument("--load-baseline", metavar="NAME", help="report a baseline; measure nothing")
    what.add_argument(
        "--ab", metavar="VENV", help="measure this build and that of another venv in turn"
    )
    how = made.add_argument_group("how much is measured")
    how.add_argument(
        "--sample-size",
        type=_COUNT,
        default=100,
        metavar="N",
        help="samples of each benchmark (100)",
    )
    how.add_argument(
        "--warm-up-time",
        type=_SECONDS,
        default=3.0,
        metavar="S",
        help="seconds before the first sample (3)",
    )
    how.add_argument(
        "--measurement-time",
        type=_MEASUREMENT,
        default=5.0,
        metavar="S",
        help="seconds for the samples of one benchmark (5)",
    )
    how.add_argument(
        "--time-cap",
        type=_MEASUREMENT,
        default=100.0,
        metavar="S",
        help="seconds after which slow benchmarks get fewer samples (100)",
    )
    how.add_argument(
        "--processes",
        type=_COUNT,
        metavar="N",
        help="fresh processes that share the samples (1; with --ab 10 of each build)",
    )
    sure = made.add_argument_group("how sure it must be")
    sure.add_argument(
        "--confidence-level", type=_SHARE, default=0.95, metavar="P", help="of the intervals (0.95)"
    )
    sure.add_argument(
        "--significance-level",
        type=_SHARE,
        default=0.05,
        metavar="P",
        help="largest adjusted p-value of a change (0.05)",
    )
    sure.add_argument(
        "--noise-threshold",
        type=_SHARE,
        default=0.05,
        metavar="P",
        help="changes within this share are none (0.05)",
    )
    sure.add_argument(
        "--nresamples",
        type=_RESAMPLES,
        default=100_000,
        metavar="N",
        help="of each bootstrap (100000)",
    )
    stored = made.add_argument_group("what it is compared with").add_mutually_exclusive_group()
    stored.add_argument("--save-baseline", metavar="NAME", help="keep these figures under a name")
    stored.add_argument(
        "--baseline", metavar="NAME", help="compare with a baseline that has every benchmark"
    )
    stored.add_argument(
        "--baseline-lenient", metavar="NAME", help="compare with what a baseline has"
    )
    out = made.add_argument_group("what comes out")
    out.add_argument(
        "--format",
        choices=("text", "json", "csv"),
        default="text",
        help="of standard output (text)",
    )
    out.add_argument(
        "--fail-on",
        type=_failures,
        default=frozenset(),
        metavar="WHAT",
        help="regressed, target, or both with a comma",
    )
    out.add_argument(
        "--output-dir",
        type=Path,
        default=OUTPUT,
        metavar="DIR",
        help="store and report (build/benchmarks)",
    )
    out.add_argument("--no-report", action="store_true", help="write no pages")
    return made


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes
    ----------
    suites : tuple of str
        As typed; none means all.
    filter : str
        A regular expression; "" finds everything.
    action : str
        "measure", "list", "test", "memory", "targets", "load" or "ab".
    name : str
        Whose figures are shown: the latest, or a baseline's.
    other : str
        The other venv of "ab".
    """

    suites: tuple[str, ...]
    filter: str
    action: str
    settings: Settings
    doubt: Doubt
    name: str
    other: str
    save_as: str | None
    baseline: str | None
    lenient: bool
    format: str
    fail_on: frozenset[str]
    output: Path
    report: bool


def _action(given: argparse.Namespace) -> str:
    for action in ("list", "test", "memory"):
        if getattr(given, action):
            return action
    if given.check_targets:
        return "targets"
    if given.load_baseline:
        return "load"
    return "ab" if given.ab else "measure"


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; wrong options end the process with status 3."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    filters = arguments[cut + 1 :]
    read = parser()
    given = read.parse_args(arguments[:cut])
    if len(filters) > 1:
        read.error(f"one filter follows --, not {len(filters)}: join expressions with |")
    action = _action(given)
    settings = Settings(
        samples=given.sample_size,
        warm_up=given.warm_up_time,
        measurement=given.measurement_time,
        time_cap=given.time_cap,
        processes=given.processes or (10 if action == "ab" else 1),
    )
    if settings.processes > settings.samples:
        read.error(f"{settings.processes} processes cannot share {settings.samples} samples")
    if action == "ab" and (given.baseline or given.baseline_lenient or given.save_baseline):
        read.error("--ab compares with the other build, and with no baseline")
    return Options(
        suites=tuple(given.suites),
        filter=filters[0] if filters else "",
        action=action,
        settings=settings.quick() if given.quick else settings,
        doubt=Doubt(
            confidence=given.confidence_level,
            significance=given.significance_level,
            noise=given.noise_threshold,
            resamples=given.nresamples,
        ),
        name=given.load_baseline or LATEST,
        other=given.ab or "",
        save_as=given.save_baseline,
        baseline=given.baseline or given.baseline_lenient,
        lenient=bool(given.baseline_lenient),
        format=given.format,
        fail_on=given.fail_on,
        output=given.output_dir,
        report=not given.no_report,
    )
