#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/branch_coverage.py [--report]: which branches of src/ the C++ and the Python tests take.

Builds the preset `coverage`, runs both, and prints for each folder how many branches were taken and
for each file the lines with one that never was. --report prints those of the last run again.
Fails when too few branches of the layers in REQUIRED were taken.

Branches that only an exception takes, and those that no source line has, do not count.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "coverage"
# What the layers of files and of quantizing must reach; kernels are proven bit by bit elsewhere.
REQUIRED = ("src/core", "src/containers", "src/pipeline", "src/quantize")
REQUIRED_PERCENT = 95


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long it took."""
    started = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)


def run_tests() -> None:
    """Build, and count from zero."""
    with timed("build"):
        made = subprocess.run(
            ["tools/instrumented_python", "coverage"], check=True, stdout=subprocess.PIPE, text=True
        )
    for counters in BUILD.rglob("*.gcda"):
        counters.unlink()
    # Left out are the tests of the kernels, which are not counted, and those that compare bits or
    # look at memory: they take no branch that others do not.
    with timed("C++ tests"):
        subprocess.run(["tools/run_ctest", "coverage", "--label-exclude", "^kernels$"], check=True)
    # Few examples: a property's branches are all taken by the first of them. Where the interpreter
    # ends among threads objects stay, of which nanobind warns in Debug alone.
    pytest = [made.stdout.strip(), "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
    chosen = ["-m", "not slow and not memory", "-k", "not interpreter", "tests/python"]
    quick = ["--hypothesis-profile=quick", "--ignore-glob=*/test_bits*"]
    with timed("Python tests"):
        subprocess.run([*pytest, *quick, *chosen], check=True)


def read_counters() -> list[dict[str, Any]]:
    """Return what gcovr says of each file of src/."""
    report = BUILD / "coverage.json"
    gcovr = Path(sys.executable).parent / "gcovr"
    command: list[str | Path] = [gcovr, "--root", ROOT, "--filter", "src/", "--json", report, BUILD]
    command += ["--exclude-throw-branches", "--exclude-unreachable-branches"]
    subprocess.run(command, cwd=ROOT, check=True)
    files: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["files"]
    return files


def branches(file: dict[str, Any]) -> dict[int, tuple[int, int]]:
    """Return how many branches each line has, and how many of them were taken."""
    found = {}
    for line in file["lines"]:
        counts = [each["count"] for each in line["branches"]]
        if counts:
            found[line["line_number"]] = len(counts), sum(count > 0 for count in counts)
    return found


def percentage(there: int, taken: int) -> str:
    """Return a part in percent, rounded down: 100 is all."""
    return f"{1000 * taken // there / 10 if there else 100:5.1f} %"


def folder_sums(files: Iterable[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return how many branches each folder has, and how many of them were taken; REQUIRED last."""
    sums: dict[str, tuple[int, int]] = {}
    for file in files:
        folder = file["file"].rpartition("/")[0]
        for there, taken in branches(file).values():
            before = sums.get(folder, (0, 0))
            sums[folder] = before[0] + there, before[1] + taken
    required = [sums.get(folder, (0, 0)) for folder in REQUIRED]
    sums[" ".join(REQUIRED)] = (
        sum(there for there, _ in required),
        sum(taken for _, taken in required),
    )
    return sums


def report(files: Iterable[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return what to print, and whether enough branches were taken.

    The lines with a branch that was never taken come first, then each folder's sum.
    """
    files = list(files)
    missing = [
        f"{file['file']}:{line}: {there - taken} of {there} never taken"
        for file in files
        for line, (there, taken) in sorted(branches(file).items())
        if taken < there
    ]
    sums = folder_sums(files)
    there, taken = sums[" ".join(REQUIRED)]
    lines = [
        *missing,
        "branches taken, without those of exceptions:",
        *(
            f"{percentage(*both)}  {both[1]:5} of {both[0]:5}  {each}"
            for each, both in sums.items()
        ),
    ]
    # Of counters that were never written nothing is known.
    enough = there > 0 and 100 * taken >= REQUIRED_PERCENT * there
    if not enough:
        lines.append(f"too few: at least {REQUIRED_PERCENT} % of the last line must be taken")
    return lines, enough


def main() -> int:
    """Run the command line and return its exit code."""
    if sys.argv[1:] == []:
        run_tests()
    elif sys.argv[1:] != ["--report"]:
        sys.exit(__doc__)
    lines, enough = report(read_counters())
    print(*lines, sep="\n")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
