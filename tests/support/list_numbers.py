# SPDX-License-Identifier: Apache-2.0
"""What lists of numbers are, found one element after the other: shares nothing with quarrow."""

from typing import Any


def numbers_in(values: Any) -> tuple[list[int], list[float]] | str:
    """Return the shape of nested lists and their numbers in C order.

    Where they are no regular lists of numbers: what should be said of the first thing wrong, level
    by level.
    """
    shape: list[int] = []
    first = values
    while isinstance(first, list | tuple):
        if len(first) == 0:
            return "an empty list"
        if len(shape) == 64:
            return "nested more than 64 deep"
        shape.append(len(first))
        first = first[0]
    if not shape:
        return f"got {type(values).__name__}; pass a list"
    for depth in range(len(shape)):
        for each in _at_depth(values, depth):
            if not isinstance(each, list | tuple) or len(each) != shape[depth]:
                return f"ragged: expected the shape {tuple(shape)}"
    numbers = _at_depth(values, len(shape))
    for each in numbers:
        if isinstance(each, bool) or not isinstance(each, int | float):
            return f"of type {type(each).__name__} where a number belongs"
    try:
        return shape, [float(each) for each in numbers]
    except OverflowError:
        return "beyond what a float can hold"


def _at_depth(values: Any, depth: int) -> list[Any]:
    if depth == 0:
        return [values]
    return [deeper for each in values for deeper in _at_depth(each, depth - 1)]
