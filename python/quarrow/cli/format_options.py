# SPDX-License-Identifier: Apache-2.0
"""An option for each field that a format can have in a file."""

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from quarrow import _core
from quarrow.cli.file_options import FORMAT
from quarrow.descriptions import FieldDescription


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
    wrapper.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=sorted(parameters, key=lambda each: each.default is not inspect.Parameter.empty)
    )
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper


def _parameter(field: FieldDescription) -> inspect.Parameter:
    kind: Any = {"bool": bool, "int": int, "str": _choice(field)}.get(field.kind, str)
    option = typer.Option(
        metavar="|".join(("N", *field.words)) if kind is str else None,
        help=f"{field.summary} Of {_listed(field.formats)}.",
        show_default="the format's own",
        rich_help_panel=FORMAT,
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _choice(field: FieldDescription) -> Any:
    return StrEnum(field.name, {word.upper(): word for word in field.words})


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]


def _value(given: object) -> object:
    if isinstance(given, str) and given.isdecimal():
        return int(given)
    return str(given) if isinstance(given, StrEnum) else given
