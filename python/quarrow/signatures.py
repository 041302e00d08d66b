# SPDX-License-Identifier: Apache-2.0
"""Signatures of the compiled functions, and Python's words for a call that does not fit one.

nanobind keeps the signature of a function as text. A Python function is made of it that does
nothing: it has the signature, and refuses what it is not called with as any Python function does.
"""

import builtins
import functools
import importlib
import inspect
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

# Where the text of a signature has a default value: the index into the values, or, after an equals
# sign, into their texts.
_DEFAULT = re.compile(r"\\(=?)(\d+)")


def own_signatures(function: Any) -> list[tuple[str, str | None, tuple[Any, ...] | None]]:
    """Return text, docstring and default values of each way in which a function can be called.

    The way that a constructor has for arguments that fit none is left out.
    """
    refusal = "def __init__(self, *args, **kwargs) -> None"
    return [each for each in function.__nb_signature__ if each[0] != refusal]


def signature_of(function: Any) -> inspect.Signature:
    """Return the signature.

    Raises
    ------
    AttributeError
        There are several, of which no single one says how to call it.
    """
    return inspect.signature(_twin(function))


def annotations_of(function: Any) -> dict[str, Any]:
    """Return the annotations of its parameters and its result."""
    return inspect.get_annotations(_twin(function))


def doc_of(function: Any) -> str | None:
    """Return the docstring, without the signature that nanobind puts before it."""
    return own_signatures(function)[0][1]


def wrong_call(function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """Return what Python says of a call with such arguments, which nanobind refused."""
    try:
        twin = _twin(function)
        twin(*arguments, **keywords)
    except AttributeError:
        return f"{function.__qualname__}() cannot be called with {_types(arguments, keywords)}"
    except TypeError as error:
        return str(error)
    return (
        f"{function.__qualname__}() got {_types(arguments, keywords)}, and takes "
        f"{inspect.signature(twin)}"
    )


def _types(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    words = [type(each).__name__ for each in arguments]
    words += [f"{name}={type(each).__name__}" for name, each in keywords.items()]
    return f"({', '.join(words)})"


class _Names(dict[str, Any]):
    """The names of a module, and the packages that the text of a signature names with them."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        importlib.import_module("numpy.typing")
        return importlib.import_module(name)


@functools.cache
def _twin(function: Any) -> Callable[..., Any]:
    ways = own_signatures(function)
    if len(ways) != 1:
        msg = f"{function.__qualname__} can be called in {len(ways)} ways"
        raise AttributeError(msg)
    ((text, _, defaults),) = ways
    values = defaults or ()
    source = _DEFAULT.sub(
        lambda found: values[int(found[2])] if found[1] else f"_defaults[{found[2]}]", text
    )
    names = _Names(vars(importlib.import_module(function.__module__)), _defaults=values)
    # Nothing of a caller's is in the text: it was compiled into the module.
    exec(compile(f"{source}: ...", "<signature>", "exec", dont_inherit=True), {}, names)
    twin = names[function.__name__]
    assert isinstance(twin, FunctionType)
    twin.__module__, twin.__qualname__ = function.__module__, function.__qualname__
    return twin
