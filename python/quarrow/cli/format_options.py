# SPDX-License-Identifier: Apache-2.0
"""An option for each field of formats that makes a difference to a file."""

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from quarrow import _core
from quarrow.cli.file_options import FORMAT
from quarrow.descriptions import FieldDescription

# What readers of files make of a field.
_REMARKS = {
    "group_size": "Files have no scale for a whole tensor.",
    "symmetric": "transformers loads symmetric layers alone.",
}


def with_format_fields(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options, and hand over what was given as its ``fields``."""
    fields = _core.file_fields()

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> None:
        given = {field.name: arguments.pop(field.name) for field in fields}
        values = {name: _value(text) for name, text in given.items() if text is not None}
        command(**arguments, fields=values)

    own = inspect.signature(command, eval_str=True)
    parameters = [each for each in own.parameters.values() if each.name != "fields"]
    # Behind the format itself.
    place = [each.name for each in parameters].index("format_name") + 1
    parameters[place:place] = [_parameter(field) for field in fields]
    # mypy knows no such attribute of functions; inspect and typer read it.
    wrapper.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=sorted(parameters, key=lambda each: each.default is not inspect.Parameter.empty)
    )
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper


def _parameter(field: FieldDescription) -> inspect.Parameter:
    kind: Any = {"bool": bool, "int": int, "str": _choice(field)}.get(field.kind, str)
    option = typer.Option(
        metavar="N|row" if kind is str else None,
        help=_help(field),
        show_default="the format's own",
        rich_help_panel=FORMAT,
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _help(field: FieldDescription) -> str:
    text = f"{field.summary} Of {_listed(field.formats)}."
    return f"{text} {_REMARKS[field.name]}" if field.name in _REMARKS else text


def _choice(field: FieldDescription) -> Any:
    return StrEnum(field.name, {word.upper(): word for word in field.words})


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]


def _value(given: object) -> object:
    return int(given) if isinstance(given, str) and given.isdecimal() else given
