#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/branch_coverage.py [--report]: which branches of src/ the C++ and the Python tests take.

Builds the preset `coverage`, runs both, and prints for each folder how many branches were taken and
for each file the lines with one that never was. --report prints those of the last run again.

Branches that only an exception takes, and those that no source line has, do not count.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "coverage"
# What the layers of files and of quantizing must reach; kernels are proven bit by bit elsewhere.
REQUIRED = ("src/core", "src/containers", "src/pipeline", "src/quantize")


def run_tests() -> None:
    """Build, and count from zero."""
    made = subprocess.run(
        ["tools/instrumented_python", "coverage"], check=True, stdout=subprocess.PIPE, text=True
    )
    for counters in BUILD.rglob("*.gcda"):
        counters.unlink()
    subprocess.run(["tools/run_ctest", "coverage"], check=True)
    # Few examples: a property's branches are all taken by the first of them.
    pytest = [made.stdout.strip(), "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
    quick = ["--hypothesis-profile=quick", "-m", "not slow", "tests/python"]
    subprocess.run([*pytest, *quick], check=True)


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


def report(files: Iterable[dict[str, Any]]) -> list[str]:
    """Return the lines with a branch that was never taken, then each folder's sum."""
    folders: dict[str, tuple[int, int]] = {}
    missing = []
    for file in files:
        folder = file["file"].rpartition("/")[0]
        for line, (there, taken) in sorted(branches(file).items()):
            sums = folders.get(folder, (0, 0))
            folders[folder] = sums[0] + there, sums[1] + taken
            if taken < there:
                missing.append(f"{file['file']}:{line}: {there - taken} of {there} never taken")
    required = [folders.get(folder, (0, 0)) for folder in REQUIRED]
    folders[" ".join(REQUIRED)] = (
        sum(each[0] for each in required),
        sum(each[1] for each in required),
    )
    return [
        *missing,
        "branches taken, without those of exceptions:",
        *(
            f"{percentage(there, taken)}  {taken:5} of {there:5}  {folder}"
            for folder, (there, taken) in folders.items()
        ),
    ]


def main() -> int:
    """Run the command line and return its exit code."""
    if sys.argv[1:] == []:
        run_tests()
    elif sys.argv[1:] != ["--report"]:
        sys.exit(__doc__)
    print(*report(read_counters()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
