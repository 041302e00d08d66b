# SPDX-License-Identifier: Apache-2.0
"""Run benchmarks: python -m benchmarks --help."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import suites as all_suites
from benchmarks.harness import engine
from benchmarks.harness.case import RefusedError, Suite
from benchmarks.harness.changes import JUDGED_ROLES, power_text, rounds_needed
from benchmarks.harness.console import print_proofs, print_summary, print_targets, watching
from benchmarks.harness.engine import Plan
from benchmarks.harness.environment import differences, fingerprint, installed
from benchmarks.harness.google_json import BenchmarkFailedError
from benchmarks.harness.memory import prove
from benchmarks.harness.options import INVALID, Options, parse
from benchmarks.harness.report import write_report
from benchmarks.harness.store import AB, LATEST, PREVIOUS, Store, check_name
from benchmarks.harness.summary import Summary, as_csv, as_json, summarize
from benchmarks.harness.targets import read_headlines, read_targets
from benchmarks.harness.words import duration_text

FAILED = 1
MISSED = 2
INTERRUPTED = 130


def chosen_suites(names: Sequence[str]) -> list[Suite]:
    """Return the suites of these names, or all."""
    unknown = [name for name in names if name not in all_suites.NAMES]
    if unknown:
        message = f"there is no suite {unknown[0]!r}; there are {', '.join(all_suites.NAMES)}"
        raise RefusedError(message)
    return [all_suites.load_suite(name) for name in all_suites.NAMES if not names or name in names]


def matcher(expression: str) -> Callable[[str], bool]:
    """Return what tells whether a benchmark is wanted."""
    try:
        compiled = re.compile(expression)
    except re.error as error:
        message = f"the filter {expression!r} is no regular expression: {error}"
        raise RefusedError(message) from None
    return lambda name: compiled.search(name) is not None


def plans(options: Options) -> list[Plan]:
    suites = chosen_suites(options.suites)
    wanted = matcher(options.filter)
    found = [engine.plan(suite, wanted, options.settings) for suite in suites]
    if options.filter and not any(each.cases or each.left_out for each in found):
        names = "\n".join(f"  {case.id}" for suite in suites for case in suite.cases)
        message = f"no benchmark has {options.filter!r} in its name; there are\n{names}"
        raise RefusedError(message)
    return [each for each in found if each.cases]


def print_missing(console: Console, suite: Suite) -> None:
    for name, reason in suite.missing.items():
        console.print(f"  without {name}: {reason}", style="yellow", soft_wrap=True)


def print_list(options: Options, console: Console) -> int:
    wanted = matcher(options.filter)
    for suite in chosen_suites(options.suites):
        console.print(f"[bold]{suite.name}[/bold]  {suite.title}")
        for case in suite.cases:
            if wanted(case.id):
                console.print(f"  {case.id}  [dim]{case.title}[/dim]", soft_wrap=True)
        print_missing(console, suite)
    return 0


def print_failures(console: Console, failures: dict[str, str]) -> None:
    for name, reason in failures.items():
        console.print(f"{name}: {reason}", style="red", markup=False)


def test(options: Options, console: Console) -> int:
    """Run each body once."""
    failures: dict[str, str] = {}
    count = 0
    for each in plans(options):
        began = time.monotonic()
        failed = engine.test_suite(each, lambda event: None)
        failures |= {f"{each.suite.name}/{name}": reason for name, reason in failed.items()}
        count += len(each.cases)
        seconds = duration_text(time.monotonic() - began)
        said = f"{len(failed)} failed" if failed else "verified"
        console.print(f"{each.suite.name}: {len(each.cases)} bodies run, {said}, {seconds}")
        print_missing(console, each.suite)
    console.print(f"{count - len(failures)} passed, {len(failures)} failed")
    print_failures(console, failures)
    return FAILED if failures else 0


def memory(options: Options, store: Store, console: Console) -> int:
    """Prove that nothing is copied."""
    wanted = matcher(options.filter)
    proofs = []
    for suite in chosen_suites(options.suites):
        for proof in prove(suite, wanted):
            figures = {"peak": proof.peak, "allowed": proof.allowed, "copied": proof.copied}
            store.write_memory(suite.name, proof.id, figures)
            proofs.append(proof)
    if not proofs:
        message = "none of these benchmarks promises anything about memory"
        raise RefusedError(message)
    print_proofs(console, proofs)
    return 0 if all(each.holds for each in proofs) else FAILED


def check_baselines(options: Options, store: Store) -> None:
    """Refuse a name that cannot be stored under, and one that nothing is stored under."""
    for name in filter(None, (options.save_baseline, options.baseline)):
        check_name(name)
    known = store.baselines()
    if options.baseline and options.baseline not in known:
        there = ", ".join(known) or "none"
        message = f"there is no baseline {options.baseline!r} of this machine; there are: {there}"
        if store.others:
            others = ", ".join(store.others)
            message += f"; other machines' figures ({others}) are never compared"
        raise RefusedError(message)


def other_python(venv: str) -> str:
    """Return the interpreter of another venv that can run benchmarks."""
    path = Path(venv)
    python = path / "bin" / "python" if path.is_dir() else path
    command = [str(python), "-c", "import quarrow, google_benchmark, numpy"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        message = f"{python} does not run: {error.strerror}"
        raise RefusedError(message) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        message = f"{python} cannot run benchmarks ({last}); it needs requirements/benchmarks.txt"
        raise RefusedError(message)
    return str(python)


def warn_of_libraries(other: str, chosen: list[Plan], console: Console) -> None:
    """Say what but quarrow is not the same in the two venvs; verdicts would be of that too."""
    packages = {case.package for each in chosen for case in each.cases if case.package}
    program = (
        "import json, sys; from benchmarks.harness.environment import installed;"
        " print(json.dumps(installed(set(sys.argv[1:]))))"
    )
    command = [other, "-c", program, *sorted(packages)]
    done = subprocess.run(command, cwd=engine.ROOT, capture_output=True, text=True, check=True)
    for said in differences(installed(packages), json.loads(done.stdout)):
        console.print(said, style="yellow", soft_wrap=True)


def in_turn(options: Options, chosen: list[Plan], console: Console) -> list[Plan]:
    """Give plans the rounds that verdicts need, and say what these will see."""
    for each in chosen:
        if each.suite.of_clone:
            console.print(f"{each.suite.name}: left out, it is of this clone and of no venv")
    chosen = [each for each in chosen if not each.suite.of_clone]
    comparisons = sum(case.role in JUDGED_ROLES for each in chosen for case in each.cases)
    rounds = options.processes or rounds_needed(comparisons)
    console.print(power_text(rounds, comparisons))
    settings = replace(options.settings, processes=rounds)
    return [replace(each, settings=settings) for each in chosen]


def measure(options: Options, store: Store, console: Console) -> dict[str, str]:
    """Measure and store; return what failed."""
    chosen = plans(options)
    other = other_python(options.ab) if options.ab else ""
    if other:
        chosen = in_turn(options, chosen, console)
        warn_of_libraries(other, chosen, console)
        # Verdicts of an earlier run would be adjusted with those of this one.
        store.forget(AB)
    expected = sum(each.expected_seconds for each in chosen) * (2 if other else 1)
    count = sum(len(each.cases) for each in chosen)
    console.print(f"{count} benchmarks, about {duration_text(expected)}, on {store.folder.name}")
    left_out = [name for each in chosen for name in each.left_out]
    if left_out:
        console.print(f"too long for --quick: {', '.join(left_out)}", style="dim")
    failures: dict[str, str] = {}
    with console.status("starting") as status:
        for each in chosen:
            name, began = each.suite.name, time.monotonic()
            failed = engine.measure_suite(each, store, watching(console, status, name), other)
            failures |= {f"{name}/{case}": reason for case, reason in failed.items()}
            console.print(f"{name}: done in {duration_text(time.monotonic() - began)}", style="dim")
    if options.save_baseline:
        store.save_as(options.save_baseline, [each.suite.name for each in chosen])
    return failures


def exit_status(options: Options, summary: Summary) -> int:
    """Return the exit status that the figures of what was asked for ask for."""
    wanted = matcher(options.filter)

    def asked(id_: str) -> bool:
        suite, _, name = id_.partition("/")
        return (not options.suites or suite in options.suites) and wanted(name)

    regressed = any(
        row.change is not None and row.change.verdict == "regressed"
        for row in summary.rows
        if asked(row.id)
    )
    if "regressed" in options.fail_on and regressed:
        return FAILED
    missed = any(each.state == "missed" and asked(each.target.of[0]) for each in summary.outcomes)
    judged = "target" in options.fail_on or options.action == "check_targets"
    return MISSED if missed and judged else 0


def show(options: Options, store: Store, console: Console) -> int:
    """Print and write what is stored."""
    name = options.load_baseline or LATEST
    if name != LATEST:
        check_name(name)
    summary = summarize(
        store,
        [] if options.quick else read_targets(),
        headlines=read_headlines(),
        name=name,
        baseline=options.baseline or (AB if options.action == "ab" else PREVIOUS),
    )
    if not summary.suites:
        message = f"nothing is stored under {name!r} in {store.folder}"
        raise RefusedError(message)
    if options.format == "json":
        print(as_json(summary))
    elif options.format == "csv":
        print(as_csv(summary), end="")
    elif options.action == "check_targets":
        print_targets(console, summary)
    else:
        print_summary(console, summary, only=set(options.suites), wanted=matcher(options.filter))
    if not options.no_report and options.action != "check_targets":
        page = write_report(summary, options.output_dir / "report")
        console.print(f"report: {page}", soft_wrap=True)
    return exit_status(options, summary)


def run(options: Options) -> int:
    # What is not the result goes to stderr when a program reads the result.
    console = Console(stderr=options.format not in {None, "text"}, highlight=False)
    if options.action == "list":
        return print_list(options, console)
    if options.action == "test":
        return test(options, console)
    store = Store(options.output_dir, fingerprint())
    check_baselines(options, store)
    if options.action == "memory":
        return memory(options, store, console)
    measured = options.action in {"measure", "ab"}
    failures = measure(options, store, console) if measured else {}
    shown = show(options, store, console)
    print_failures(console, failures)
    return INVALID if failures else shown


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        return run(options)
    except (RefusedError, BenchmarkFailedError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return INVALID
    except KeyboardInterrupt:
        print("benchmarks: interrupted; what was stored before is whole", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
