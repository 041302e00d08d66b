# SPDX-License-Identifier: Apache-2.0
"""`quarrow info`."""

import json
from typing import Annotated

import typer

import quarrow


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show the version, what this machine runs, and the formats.

    \b
    Example:
      quarrow info --json
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    facts = quarrow.info()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        print(f"{name:<12}{value}")
