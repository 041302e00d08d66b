# SPDX-License-Identifier: Apache-2.0
"""Which small changes can be made to a source file."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = ("src", "bindings", "python/quarrow")
_SUFFIXES = {".cpp", ".h", ".py"}
# Its tests are those of tests/oracles, whose environment has torch.
_TESTED_ELSEWHERE = {"python/quarrow/torch_tensors.py"}


@dataclass(frozen=True)
class Mutant:
    """One line, changed.

    Attributes
    ----------
    path
        Of the file, from the root of the checkout.
    line
        Its number, from 1.
    operator
        The kind of change.
    before, after
        The whole line, without its end.
    """

    path: str
    line: int
    operator: str
    before: str
    after: str

    def applied_to(self, text: str) -> str:
        """Return a file's text with the change made."""
        lines = text.splitlines(keepends=True)
        lines[self.line - 1] = self.after + "\n"
        return "".join(lines)


def sources(root: Path) -> list[str]:
    """Return the files of a checkout that mutants are made of, in order."""
    found = (path for top in SOURCES for path in (root / top).rglob("*"))
    names = {str(path.relative_to(root)) for path in found if path.suffix in _SUFFIXES}
    return sorted(names - _TESTED_ELSEWHERE)


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Return every mutant of a file, line by line, without two that are alike."""
    is_python = path.endswith(".py")
    blanked = _python_code(text) if is_python else _cpp_code(text)
    passed_over = _PYTHON_PASSED_OVER if is_python else _CPP_PASSED_OVER
    droppable = _python_statements(text) if is_python else _cpp_statements(blanked)
    made: dict[tuple[int, str], Mutant] = {}
    for index, (line, code) in enumerate(zip(text.splitlines(), blanked, strict=True)):
        if passed_over.match(code):
            continue
        changes = list(_replaced(line, code, is_python))
        changes += _negated(line, code, is_python)
        if index + 1 in droppable:
            indent = line[: len(line) - len(line.lstrip())]
            changes.append(("statement", indent + ("pass" if is_python else ";")))
        for operator, after in changes:
            made.setdefault((index, after), Mutant(path, index + 1, operator, line, after))
    return list(made.values())


# --- what is code

_CPP_LITERAL = re.compile(
    r"""R"(?P<fence>[^()\s\\]*)\(.*?\)(?P=fence)" | "(?:\\.|[^"\\\n])*"
    | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+' | //[^\n]* | /\*.*?\*/""",
    re.DOTALL | re.VERBOSE,
)
# How much room a vector has makes no result another one.
_CPP_PASSED_OVER = re.compile(
    r"\s*(#|template\b|using\b|static_assert\b|namespace\b|class\b|struct\b|enum\b|friend\b"
    r"|[\w.\[\]>-]+\.reserve\()"
)
_PYTHON_PASSED_OVER = re.compile(r"\s*(import\b|from\b|@|def\b|class\b|__all__\b|if TYPE_CHECKING)")
_STRING_TOKENS = {
    getattr(tokenize, name, -1) for name in ("STRING", "FSTRING_START", "FSTRING_MIDDLE")
} | {getattr(tokenize, "FSTRING_END", -1), tokenize.COMMENT}


def _cpp_code(text: str) -> list[str]:
    """Return the lines with underscores for what is comment or literal."""
    return _CPP_LITERAL.sub(lambda found: _blank(found[0]), text).splitlines()


def _blank(literal: str) -> str:
    # Comments become spaces, so that a statement still ends with its semicolon.
    filler = " " if literal.startswith(("//", "/*")) else "_"
    return re.sub(r"[^\n]", filler, literal)


def _python_code(text: str) -> list[str]:
    lines = [list(line) for line in text.splitlines()]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _STRING_TOKENS:
            continue
        filler = " " if token.type == tokenize.COMMENT else "_"
        for row in range(token.start[0], token.end[0] + 1):
            line = lines[row - 1]
            begin = token.start[1] if row == token.start[0] else 0
            end = token.end[1] if row == token.end[0] else len(line)
            line[begin:end] = filler * (end - begin)
    return ["".join(line) for line in lines]


# --- changes within a line

_RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
_ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "/", "+=": "-=", "-=": "+="}
_BITS = {"<<": ">>", ">>": "<<", "&": "|", "|": "&", "|=": "&=", "&=": "|="}
_LOGIC = {"&&": "||", "||": "&&", "and": "or", "or": "and"}
_TRUTH = {"true": "false", "false": "true", "True": "False", "False": "True"}

Replacement = tuple[str, re.Pattern[str], Callable[[str], str]]


def _between_spaces(operator: str, table: dict[str, str]) -> Replacement:
    # Formatters put spaces around binary operators, and none inside of template arguments.
    longest_first = sorted(table, key=len, reverse=True)
    words = "|".join(map(re.escape, longest_first))
    return operator, re.compile(rf"(?<=\s)(?:{words})(?=\s|$)"), table.__getitem__


_REPLACEMENTS: tuple[Replacement, ...] = (
    _between_spaces("relation", _RELATIONS),
    _between_spaces("arithmetic", _ARITHMETIC),
    _between_spaces("logic", _LOGIC),
    ("truth", re.compile(rf"\b(?:{'|'.join(_TRUTH)})\b"), _TRUTH.__getitem__),
    ("constant", re.compile(r"(?<![\w.'])\d+(?=[uUlL]*\b)(?![.'])"), lambda n: str(int(n) + 1)),
)
_CPP_REPLACEMENTS = (*_REPLACEMENTS, _between_spaces("bits", _BITS))


def _replaced(line: str, code: str, is_python: bool) -> Iterator[tuple[str, str]]:  # noqa: FBT001
    # Between types of Python, | is no operation on bits.
    for operator, pattern, replace in _REPLACEMENTS if is_python else _CPP_REPLACEMENTS:
        for found in pattern.finditer(code):
            yield operator, line[: found.start()] + replace(found[0]) + line[found.end() :]


def _negated(line: str, code: str, is_python: bool) -> Iterator[tuple[str, str]]:  # noqa: FBT001
    found = re.search(r"^\s*(?:el)?if (?=.*:\s*$)" if is_python else r"\bif \(", code)
    if found is None:
        return
    begin = found.end()
    end = code.rstrip().rfind(":") if is_python else _closing(code, begin)
    if end is None or (not is_python and " = " in code[begin:end]):
        return  # over several lines, or the declaration of what is looked at
    negation = "not " if is_python else "!"
    yield "condition", f"{line[:begin]}{negation}({line[begin:end]}){line[end:]}"


def _closing(code: str, begin: int) -> int | None:
    depth = 1
    for position in range(begin, len(code)):
        depth += {"(": 1, ")": -1}.get(code[position], 0)
        if depth == 0:
            return position
    return None


# --- whole statements

_CPP_STATEMENT = re.compile(r"\s*(?:throw .*|[\w.:*>\[\]-]+(?:\(.*\)| [-+*/|&]?= .*|\+\+));\s*$")


def _cpp_statements(code: list[str]) -> set[int]:
    found = set()
    before = ";"
    for number, line in enumerate(code, start=1):
        whole = line.count("(") == line.count(")") and line.count("{") == line.count("}")
        if whole and before.endswith((";", "{", "}", ":")) and _CPP_STATEMENT.match(line):
            found.add(number)
        before = line.rstrip() or before
    return found


def _python_statements(text: str) -> set[int]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        sets_a_part = isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name)
        if is_call or sets_a_part or isinstance(node, ast.AugAssign | ast.Raise):
            assert isinstance(node, ast.stmt)
            if node.lineno == node.end_lineno:
                found.add(node.lineno)
    return found
