# SPDX-License-Identifier: Apache-2.0
"""What the shell offers after `--format` and `--rule`: each choice, and what it is."""

import quarrow


def complete_format(incomplete: str) -> list[tuple[str, str]]:
    """Return the formats that start so."""
    return [
        (each.name, each.summary) for each in quarrow.formats() if each.name.startswith(incomplete)
    ]


def complete_rule(incomplete: str) -> list[tuple[str, str]]:
    """Return the rule that was begun with each format that it could have.

    zsh and fish ask for the whole rule. bash splits it at its `=` and asks for something else: it
    completes no rule.
    """
    pattern, equals, start = incomplete.rpartition("=")
    if not equals:
        return []
    choices = complete_format(start)
    if "none".startswith(start):
        choices.append(("none", "leaves them as they are"))
    return [(f"{pattern}={name}", summary) for name, summary in choices]
