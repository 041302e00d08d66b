# SPDX-License-Identifier: Apache-2.0
"""The command line of ``tools/mutate``."""

import argparse
import difflib
import random
import secrets
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mutation.mutants import Mutant, mutants_of, sources
from mutation.workshop import OutOfTimeError, Step, Verdict, Workshop

ROOT = Path(__file__).resolve().parents[2]
REASONS = Path(__file__).with_name("reasons.toml")
# Of what was judged, one in so many may survive without a reason.
ONE_IN = 20
_FOR_MUTANTS = 0.85  # of the time
_A_WEEK = 7 * 24 * 60


def main(arguments: Sequence[str], root: Path = ROOT, reasons: Path = REASONS) -> int:
    """Run the command; return its exit code.

    Parameters
    ----------
    arguments
        Of the command line.
    root
        The checkout whose sources are changed, in a copy below its ``build``.
    reasons
        What is known to change nothing, see ``reasons.toml``.

    Returns
    -------
    int
        1 when too many mutants survived; 2 when none was judged, or when a test that found one is
        red without it too.
    """
    asked = _parser().parse_args(arguments)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    started = time.monotonic()
    drawn = _drawn(root, asked.files, seed)
    wanted = asked.sample or len(drawn)
    print(f"mutation: {wanted} of {len(drawn)} mutants, --seed {seed}", flush=True)
    end = started + 60 * asked.minutes
    # The rest is for asking the tests that found mutants whether they are green without.
    workshop = Workshop(root, root / "build" / "mutants", started + _FOR_MUTANTS * (end - started))
    try:
        workshop.prepare()
    except OutOfTimeError:
        print("mutation: the time was over before the copy was built")
        return 2
    print(f"mutation: the copy is built after {time.monotonic() - started:.0f} s", flush=True)
    begun = time.monotonic()
    tried = list(_tried(workshop, drawn, wanted, _known(reasons)))
    minutes = (time.monotonic() - begun) / 60
    red = [
        step for step in _killers(verdict for _, verdict in tried) if not workshop.is_green(step)
    ]
    survivors = [mutant for mutant, verdict in tried if verdict.kind == "survived"]
    for mutant in survivors:
        print(difference(mutant))
    for step in red:
        print(f"red without a mutant too: {' '.join(step.command)}")
    kinds = Counter(verdict.kind for _, verdict in tried)
    judged = kinds["killed"] + kinds["survived"] + kinds["has a reason"]
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    print(
        f"mutation: {judged} judged in {minutes:.1f} minutes, {judged / max(minutes, 1e-9):.2f} a "
        f"minute, --seed {seed}: {told}"
    )
    if red or judged == 0:
        return 2
    return 1 if len(survivors) > allowed(judged) else 0


def allowed(judged: int) -> int:
    """Return how many of so many mutants may survive without a reason; one of less than twenty."""
    return -(-judged // ONE_IN)


def difference(mutant: Mutant) -> str:
    """Return what a mutant changes, as diff -u shows it."""
    where = f"{mutant.path}:{mutant.line}"
    lines = difflib.unified_diff(
        [mutant.before], [mutant.after], where, f"{where} ({mutant.operator})", lineterm="", n=0
    )
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tools/mutate", description="see whether tests notice changes")
    parser.add_argument("--sample", type=int, metavar="N", help="judge so many, drawn by lot")
    parser.add_argument("--seed", type=int, metavar="S", help="of the lot, as an earlier run said")
    parser.add_argument(
        "--minutes", type=float, metavar="M", default=_A_WEEK, help="end after so many"
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="change these alone")
    return parser


def _drawn(root: Path, files: Sequence[str], seed: int) -> list[Mutant]:
    texts = {path: (root / path).read_text(encoding="utf-8") for path in files or sources(root)}
    mutants = [mutant for path, text in texts.items() for mutant in mutants_of(path, text)]
    random.Random(seed).shuffle(mutants)
    return mutants


def _known(reasons: Path) -> set[tuple[str, str, str]]:
    listed = tomllib.loads(reasons.read_text(encoding="utf-8")).get("mutant", [])
    return {(known["path"], known["before"], known["after"]) for known in listed if known["reason"]}


def _tried(
    workshop: Workshop, drawn: Sequence[Mutant], wanted: int, known: set[tuple[str, str, str]]
) -> Iterator[tuple[Mutant, Verdict]]:
    left = wanted
    for mutant in drawn:
        if left == 0:
            return
        begun = time.monotonic()
        if (mutant.path, mutant.before.strip(), mutant.after.strip()) in known:
            verdict = Verdict("has a reason")
        else:
            verdict = workshop.try_mutant(mutant)
        took = time.monotonic() - begun
        killer = f" by {verdict.test or 'a crash'}" if verdict.kind == "killed" else ""
        place = f"{mutant.path}:{mutant.line} {mutant.operator}"
        print(f"{verdict.kind:12} {place}{killer} ({took:.0f} s)", flush=True)
        yield mutant, verdict
        if verdict.kind == "left out":
            return
        left -= verdict.kind in {"killed", "survived", "has a reason"}


def _killers(verdicts: Iterable[Verdict]) -> list[Step]:
    """Return the steps that ask every test again that found a mutant."""
    by_target: dict[str, tuple[Step, list[str]]] = {}
    whole = set()
    for verdict in verdicts:
        if verdict.step is None:
            continue
        if verdict.test is None:
            whole.add(verdict.step)
        else:
            by_target.setdefault(verdict.step.target, (verdict.step, []))[1].append(verdict.test)
    return [step.of(sorted(set(tests))) for step, tests in by_target.values()] + list(whole)


def _stopped(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    # An exit, so that what runs in the copy is ended too.
    signal.signal(signal.SIGTERM, _stopped)
    sys.exit(main(sys.argv[1:]))
