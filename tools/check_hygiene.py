#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail where a tracked file breaks a habit of this repository that no formatter knows.

    tools/check_hygiene.py [FILE...]

Without arguments every file that git tracks. Prints one line for each finding,
`file:line: what is wrong`, and exits with 1 if there is any.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Inputs of fuzz targets: bytes, some of them no text.
CORPUS = ROOT / "fuzz" / "corpus"
MOST_LINES = 400
MOST_BYTES = 200_000
SOURCES = {".py", ".cpp", ".h", ".cmake"}
WITH_LICENCE = {".py", ".cpp", ".h"}
EMPTY_NAMES = re.compile(r"^(utils?|helpers?|common|managers?|misc)$|_(v\d|impl)$")
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))|^(<{7}|>{7}|={7})( |$)")
LICENCE = "SPDX-License-Identifier: Apache-2.0"


def main(arguments: list[str]) -> int:
    """Check the named files, or all that git tracks."""
    paths = [Path(name).resolve() for name in arguments] or tracked_files()
    texts = [path for path in paths if not path.is_relative_to(CORPUS)]
    found = [f"{path.relative_to(ROOT)}:{line}" for path in texts for line in findings(path)]
    for line in found:
        print(line)
    return 1 if found else 0


def tracked_files() -> list[Path]:
    """Every file that git tracks and that is still there."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def findings(path: Path) -> Iterator[str]:
    """Yield what is wrong in one file, as `line: what is wrong`."""
    if EMPTY_NAMES.search(path.stem):
        yield f"1: '{path.stem}' says nothing of what is inside"
    if path.stat().st_size > MOST_BYTES:
        yield f"1: more than {MOST_BYTES} bytes"
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    if text and (lines[-1] or not "".join(lines[-2:])):
        yield f"{len(lines)}: the file must end with one newline"
    is_source = path.suffix in SOURCES
    if is_source and len(lines) > MOST_LINES + 1:
        yield f"{MOST_LINES}: more than {MOST_LINES} lines; look for the second concept inside"
    if path.suffix in WITH_LICENCE and not any(LICENCE in line for line in lines[:2]):
        yield "1: the SPDX line is missing"
    for number, line in enumerate(lines, start=1):
        if line != line.rstrip():
            yield f"{number}: trailing space"
        if is_source and not line.isascii():
            yield f"{number}: a character that is not ASCII"
        if is_source and "\t" in line:
            yield f"{number}: a tab"
        if path != Path(__file__).resolve() and LEFT_OVER.search(line):
            yield f"{number}: left for later, or left over"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
