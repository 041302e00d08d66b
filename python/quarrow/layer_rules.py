# SPDX-License-Identifier: Apache-2.0
"""Which tensor gets which format."""

import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from quarrow import _core
from quarrow.exceptions import InvalidInputError
from quarrow.safe_repr import safe_repr

Pattern = str | re.Pattern[str]
Wanted = str | _core.Format | None
Rule = tuple[Pattern, Wanted]
# Pairs, or a dict, whose order counts. Keys are invariant: a dict of str is no dict of patterns.
Rules = Iterable[Rule] | Mapping[str, Wanted] | Mapping[Pattern, Wanted]

LEAVE = 255
_DEFAULT = 254
_NO_RULE = 0xFFFF
_LONGEST_SHOWN = 200


def as_format(format: str | _core.Format, fields: dict[str, Any]) -> _core.Format:
    """Return the format with the fields that stand beside it."""
    if isinstance(format, _core.Format):
        return format.replace(**fields)
    return _core.Format(format, **fields)


def format_chooser(
    rules: Rules | Callable[[str], Wanted], default: _core.Format
) -> Callable[[str], _core.Format | None]:
    """Return what gives the format of a layer by its name; None: leave the layer out."""
    if not callable(rules):
        return LayerRules(rules, default).format_of
    choose = rules

    def chosen(name: str) -> _core.Format | None:
        wanted = choose(name)
        return None if wanted is None else as_format(wanted, {})

    return chosen


class LayerRules:
    """Rules in their order, and what they decide on the tensors of one job.

    Attributes
    ----------
    formats : list of Format
        All that occur, the default first.
    choices : bytearray
        For each tensor the index of its format, 254 for the default or 255 to leave it.
    """

    def __init__(self, rules: Rules | None, default: _core.Format) -> None:
        self.formats = [default]
        self.choices = bytearray()
        self._patterns: list[re.Pattern[str]] = []
        self._choice_of_rule: list[int] = []
        self._matched: Sequence[int] = ()
        for rule in _pairs(rules):
            self._add(rule)
        if len(self.formats) > _DEFAULT or len(self._patterns) > _NO_RULE:
            msg = f"{len(self._patterns)} rules with {len(self.formats)} formats are too many"
            raise InvalidInputError(msg)

    def _add(self, rule: Any) -> None:
        if not (isinstance(rule, tuple | list) and len(rule) == 2):
            msg = f"a rule must be (pattern, format or None), not {safe_repr(rule)}"
            raise InvalidInputError(msg)
        pattern, wanted = rule
        self._patterns.append(_compiled(pattern))
        if wanted is None:
            self._choice_of_rule.append(LEAVE)
            return
        chosen = wanted if isinstance(wanted, _core.Format) else _core.Format(wanted)
        if chosen not in self.formats:
            self.formats.append(chosen)
        self._choice_of_rule.append(self.formats.index(chosen))

    def decide(self, count: int, names: Callable[[], Iterable[str]]) -> None:
        """Match the names of so many tensors; the first pattern found in one counts."""
        if not self._patterns:
            self.choices = bytearray([_DEFAULT]) * count
            return
        self._matched = array("H", map(self._rule_for, names()))
        choice_of = {_NO_RULE: _DEFAULT, **dict(enumerate(self._choice_of_rule))}
        self.choices = bytearray(map(choice_of.__getitem__, self._matched))

    def format_of(self, name: str) -> _core.Format | None:
        """Return the format of a layer; None when a rule leaves it."""
        rule = self._rule_for(name)
        choice = 0 if rule == _NO_RULE else self._choice_of_rule[rule]
        return None if choice == LEAVE else self.formats[choice]

    def _rule_for(self, name: str) -> int:
        for rule, pattern in enumerate(self._patterns):
            if pattern.search(name):
                return rule
        return _NO_RULE

    def reason_to_leave(self, index: int) -> str | None:
        """Return which rule left a tensor; None when none did."""
        if not self._matched or self._matched[index] == _NO_RULE:
            return None
        rule = self._matched[index]
        if self._choice_of_rule[rule] != LEAVE:
            return None
        # The empty pattern finds every name: it stands last, for what no other rule found.
        text = self._patterns[rule].pattern
        return f"left by the rule {text!r}" if text else "no other rule finds its name"

    def unmatched(self) -> list[str]:
        """Return a warning for each rule that decided on no tensor."""
        if not self._patterns:
            return []
        used = set(self._matched)
        return [
            f"the rule {pattern.pattern!r} decided on no tensor"
            for rule, pattern in enumerate(self._patterns)
            if pattern.pattern and rule not in used
        ]


def _pairs(rules: Any) -> list[Any]:
    if rules is None:
        return []
    try:
        return list(rules.items() if isinstance(rules, Mapping) else rules)
    except TypeError:
        msg = (
            "rules must be a dict of patterns and formats, or (pattern, format) pairs, not "
            f"{safe_repr(rules)}"
        )
        raise InvalidInputError(msg) from None


def _compiled(pattern: object) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)  # type: ignore[call-overload]
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        is_long = isinstance(pattern, str) and len(pattern) >= _LONGEST_SHOWN
        shown = f"{str(pattern)[:60]!r}..." if is_long else safe_repr(pattern)
        msg = f"the rule {shown} is not a regular expression: {error}"
        raise InvalidInputError(msg) from None
    if not isinstance(compiled.pattern, str):
        msg = f"the rule {pattern!r} is of bytes; names are str"
        raise InvalidInputError(msg)
    return cast("re.Pattern[str]", compiled)
