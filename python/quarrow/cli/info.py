# SPDX-License-Identifier: Apache-2.0
"""`quarrow info`."""

import json
from typing import Annotated, Any

import typer

import quarrow
from quarrow.counts import counted
from quarrow.isa_names import readable_isa


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
        formats = {each.name: each.summary for each in quarrow.formats()}
        print(json.dumps({**facts, "formats": formats}, indent=2))
    else:
        _print_facts(facts)
        print("\nformats")
        for each in quarrow.formats():
            print(f"  {each.name:<14}{each.summary}")


def _print_facts(facts: dict[str, Any]) -> None:
    build = facts["build"]
    runnable = map(readable_isa, facts["runnable_isas"])
    cpus = counted(facts["cpus"], "CPU")
    libraries = [f"{name} {version}" for name, version in facts["dependencies"].items() if version]
    for label, text in (
        ("quarrow", facts["version"]),
        ("runs on", f"{readable_isa(facts['isa'])} (this machine has {', '.join(runnable)})"),
        ("threads", f"{facts['threads']} by {facts['executor']}, {cpus} allowed"),
        ("built with", f"{build['compiler']}, {build['type']}"),
        ("libraries", ", ".join(libraries)),
    ):
        print(f"{label:<12}{text}")
