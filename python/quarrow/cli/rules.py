# SPDX-License-Identifier: Apache-2.0
"""`--rule REGEX=FORMAT` as the pairs that the Python interface takes."""

import re

import typer


def parse_rules(texts: list[str]) -> list[tuple[str, str | None]]:
    """Split each rule at its last `=`; the format `none` leaves a layer as it is.

    Raises
    ------
    typer.BadParameter
        For a rule without `=`, with an empty part, or with an expression that does not compile.
    """
    return [_parse(text) for text in texts]


def _parse(text: str) -> tuple[str, str | None]:
    pattern, equals, name = text.rpartition("=")
    if not (pattern and equals and name):
        msg = f"'{text}' is not REGEX=FORMAT or REGEX=none"
        raise typer.BadParameter(msg, param_hint="--rule")
    try:
        re.compile(pattern)
    except re.error as error:
        msg = f"'{text}' has a bad regular expression: {error}"
        raise typer.BadParameter(msg, param_hint="--rule") from None
    return pattern, None if name == "none" else name
