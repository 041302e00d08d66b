# SPDX-License-Identifier: Apache-2.0
"""`--rule REGEX=FORMAT` as the pairs that the Python interface takes."""

import typer


def parse_rules(texts: list[str]) -> list[tuple[str, str | None]]:
    """Split each rule at its last `=`; the format `none` leaves a layer as it is.

    Raises
    ------
    typer.BadParameter
        For a rule without `=` or with an empty part.
    """
    return [_parse(text) for text in texts]


def _parse(text: str) -> tuple[str, str | None]:
    pattern, equals, name = text.rpartition("=")
    if not (pattern and equals and name):
        msg = f"'{text}' is not REGEX=FORMAT or REGEX=none"
        raise typer.BadParameter(msg, param_hint="--rule")
    return pattern, None if name == "none" else name
