# SPDX-License-Identifier: Apache-2.0
"""What the tests that try every format know of one: its rule, and in which ways it is tried.

A module of this package that has a ``REFERENCES`` joins them by that alone; a registered format
without a reference fails them.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Parts = dict[str, NDArray[Any]]
Fields = Mapping[str, Any]


class UnrepresentableError(ValueError):
    """Values of which the format cannot make a scale; the engine refuses them too."""


@dataclass(frozen=True)
class FormatReference:
    format: str
    quantize: Callable[[NDArray[Any], Fields, str], Parts]
    """The parts of a matrix, in the format's order, as the engine holds them in memory. The last
    argument is the layer's name."""
    dequantize: Callable[[Parts, tuple[int, int], Fields], NDArray[np.float32]]
    """The values of a matrix of that shape."""
    bound: Callable[[NDArray[np.float64], Parts, Fields], NDArray[np.float64]]
    """How far each finite element may be from what is restored."""
    variants: tuple[Fields, ...] = ({},)
    """Fields to be tried, besides the defaults of the others."""
    block: int = 1
    """Rows are whole multiples of so many columns."""
    most: float = math.inf
    """Values beyond this may have no scale that the format holds."""
    saturates: bool = True
    """Whether the rule says what becomes of NaN and Inf."""
    in_files: Callable[[Fields], bool] = lambda _: True
    """Whether files can say what the fields say."""


@cache
def references() -> dict[str, FormatReference]:
    """Return those of all formats."""
    import reference

    found = {}
    for module in pkgutil.iter_modules(reference.__path__, "reference."):
        for each in getattr(importlib.import_module(module.name), "REFERENCES", ()):
            found[each.format] = each
    return found


def variants() -> list[tuple[FormatReference, Fields]]:
    """Return every format in each of its ways."""
    return [(each, fields) for each in references().values() for fields in each.variants]


def name_of(format: str, fields: Fields) -> str:
    """Return a word for a test's name."""
    return "-".join([format, *(f"{key}={value}" for key, value in fields.items())])
