#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail where a layer of the C++ sources reaches up, or uses what its place forbids.

    tools/check_layers.py [ROOT]

Prints one line for each violation, `file:line: what is wrong`, and exits with 1 if there is any.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Which layers each may include, beside itself. Python and its bindings stand above all of them.
MAY_INCLUDE = {
    "core": set[str](),
    "kernels": {"core"},
    "quantize": {"core", "kernels"},
    "containers": {"core"},
    "arrow": {"core", "quantize"},
    "models": {"core", "containers"},
    "layouts": {"core", "kernels", "quantize", "containers", "models"},
    "lora": {"core", "kernels", "quantize", "containers", "models", "layouts"},
    "pipeline": {"core", "kernels", "quantize", "containers", "models", "layouts", "lora"},
}

PYTHON_HEADER = re.compile(r"^(Python\.h$|nanobind/|pybind11/|numpy/)")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
LITERAL_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
SOURCE_SUFFIXES = {".h", ".cpp"}


@dataclass(frozen=True)
class BannedName:
    """A name that may not be used below a folder, and why."""

    folder: str
    pattern: re.Pattern[str]
    reason: str


BANNED_NAMES = (
    BannedName(
        "src/kernels",
        re.compile(r"\b(\w*Mul(?:Add|Sub)\w*|fmaf?|__builtin_fmaf?|\w*WidenMulAccumulate\w*)\b"),
        "one rounding instead of two: other bits on targets without it",
    ),
    BannedName(
        "",
        re.compile(r"\b(DisableTargets|SetSupportedTargets\w*)\b"),
        "state shared by every extension in the process",
    ),
)


def main(arguments: list[str]) -> int:
    """Check the tree at `arguments[0]`, or the one that this file is in."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    found = list(violations(root))
    for line in found:
        print(line)
    return 1 if found else 0


def violations(root: Path) -> Iterator[str]:
    """Every violation below a root, as `file:line: what is wrong`.

    Parameters
    ----------
    root
        Of a checkout: the folder that has `include`, `src` and `bindings`.

    Yields
    ------
    str
        In the order of file names, then of lines.
    """
    for top in ("include", "src", "bindings"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES:
                place = path.relative_to(root)
                text = path.read_text(encoding="ascii")
                for number, problem in _problems(place, text):
                    yield f"{place}:{number}: {problem}"


def _problems(place: Path, text: str) -> Iterator[tuple[int, str]]:
    code = LITERAL_OR_COMMENT.sub(_blank_unless_literal, text)
    for number, line in enumerate(code.splitlines(), start=1):
        include = INCLUDE.match(line)
        if include is not None:
            problem = _include_problem(place, include[1])
            if problem is not None:
                yield number, problem
            continue
        for banned in BANNED_NAMES:
            name = banned.pattern.search(line)
            if name is not None and place.is_relative_to(banned.folder):
                yield number, f"{name[1]} is banned here: {banned.reason}"


def _blank_unless_literal(match: re.Match[str]) -> str:
    # Line numbers must survive, and an include's name is a literal.
    return match[0] if match[0].startswith('"') else "\n" * match[0].count("\n")


def _include_problem(place: Path, header: str) -> str | None:
    if place.parts[0] == "bindings":
        return None
    if PYTHON_HEADER.match(header):
        return f"{header} is for bindings/ alone"
    layer = _layer_of(place)
    if layer not in MAY_INCLUDE:
        return f"the folder is none of the layers: {', '.join(MAY_INCLUDE)}"
    parts = Path(header).parts
    is_public = parts[0] == "quarrow"
    target = parts[1] if is_public and len(parts) > 2 else parts[0]
    if target not in MAY_INCLUDE:
        return None
    if place.parts[0] == "include" and not is_public:
        return f"a public header includes {header}, which is private"
    if target != layer and target not in MAY_INCLUDE[layer]:
        return f"{layer} may not include {header}: {target} is not below it"
    return None


def _layer_of(place: Path) -> str:
    return place.parts[2] if place.parts[0] == "include" else place.parts[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
