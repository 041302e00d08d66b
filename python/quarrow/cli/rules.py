# SPDX-License-Identifier: Apache-2.0
"""`--exclude`, `--rule` and `--include` as the rules that the Python interface takes."""

from collections.abc import Sequence

import typer

from quarrow import Format

Rules = list[tuple[str, str | Format | None]]


def choose_rules(
    chosen: Format, *, include: Sequence[str], exclude: Sequence[str], rule: Sequence[str]
) -> Rules:
    """Put all three into one list, of which the first that finds a name counts.

    What is excluded stays, whatever else is said of it; a rule chooses a format; what is included
    takes the format of the command; and once something is included, the rest stays.

    Raises
    ------
    typer.BadParameter
        For an empty expression, and a rule that is not one.
    """
    rules: Rules = [(_expression(each, "--exclude"), None) for each in exclude]
    rules += [_parse(each) for each in rule]
    rules += [(_expression(each, "--include"), chosen) for each in include]
    return [*rules, ("", None)] if include else rules


def _expression(text: str, option: str) -> str:
    if not text:
        msg = "an empty expression finds every name"
        raise typer.BadParameter(msg, param_hint=option)
    return text


def _parse(text: str) -> tuple[str, str | None]:
    """Split a rule at its last `=`; the format `none` leaves a layer as it is."""
    pattern, equals, name = text.rpartition("=")
    if not (pattern and equals and name):
        msg = f"'{text}' is not REGEX=FORMAT or REGEX=none"
        raise typer.BadParameter(msg, param_hint="--rule")
    return pattern, None if name == "none" else name
