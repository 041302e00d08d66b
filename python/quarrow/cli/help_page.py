# SPDX-License-Identifier: Apache-2.0
"""What `--help` shows: options in groups, and colour where a terminal shows it.

typer's own pages with groups draw boxes, which leave an option's description 40 columns of 80.
"""

import re
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# Longer ones stand on a line of their own.
_LONGEST_TERM = 30
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


class CommandWithGroups(TyperCommand):
    """A command whose options stand in groups, each under its `rich_help_panel`."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the first line."""
        _write_usage(self, ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write_parameters(self, ctx, formatter)


class CommandsWithColour(TyperGroup):
    """The page of all commands."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the first line."""
        _write_usage(self, ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options, which are few."""
        rows = [
            (_term(name), command.get_short_help_str(formatter.width))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section(_heading("Commands")):
            formatter.write_dl(rows)
        _write_parameters(self, ctx, formatter)


def _write_usage(command: Any, ctx: Any, formatter: Any) -> None:
    # typer marks what is required with braces, which nobody types.
    pieces = re.sub("[{}]", "", " ".join(command.collect_usage_pieces(ctx)))
    formatter.write_usage(ctx.command_path, pieces, prefix=f"{_heading('Usage')}: ")


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    records = [(each, each.get_help_record(ctx)) for each in command.get_params(ctx)]
    shown = [(each, *_plainer(*record)) for each, record in records if record is not None]
    grouped = any(getattr(each, "rich_help_panel", None) for each, _, _ in shown)
    width = min(max(len(term) for _, term, _ in shown), _LONGEST_TERM)

    def group_of(row: tuple[Any, str, str]) -> str:
        parameter = row[0]
        if parameter.param_type_name == "argument":
            return "Arguments"
        return parameter.rich_help_panel or ("Other options" if grouped else "Options")

    for name, rows in groupby(shown, group_of):
        with formatter.section(_heading(name)):
            # The descriptions of all groups begin in one column.
            formatter.write_dl([(_coloured(term.ljust(width)), text) for _, term, text in rows])


def _plainer(term: str, text: str) -> tuple[str, str]:
    """Leave out what typer adds of itself: the type of a path, brackets in brackets."""
    return term.removesuffix(" <str>"), re.sub(r"default: \(([^()]*)\)", r"default: \1", text)


def _coloured(term: str) -> str:
    return _OPTION.sub(lambda found: _term(found[0]), term)


def _heading(text: str) -> str:
    return typer.style(text, fg="yellow", bold=True)


def _term(text: str) -> str:
    return typer.style(text, fg="cyan", bold=True)
