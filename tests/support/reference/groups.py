# SPDX-License-Identifier: Apache-2.0
"""A tensor as a matrix, and the groups in which its elements share a scale."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Row and column of a group's scale, and where its elements lie.
Group = tuple[tuple[int, int], tuple[slice, slice]]


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return rows and columns; a tensor of one dimension is one row."""
    if len(shape) == 1:
        return 1, shape[0]
    return shape[0], math.prod(shape[1:])


def as_matrix(w: NDArray[Any]) -> NDArray[Any]:
    """Return the elements in logical order, as a matrix."""
    return np.ascontiguousarray(w).reshape(matrix_shape(w.shape))


def scales_shape(shape: tuple[int, int], group_size: int | str) -> tuple[int, int]:
    """Return the rows and columns of the scales of a matrix."""
    rows, cols = shape
    if group_size == "tensor":
        return 1, 1
    if group_size == "row":
        return rows, 1
    assert isinstance(group_size, int)
    return rows, -(-cols // group_size)


def each_group(shape: tuple[int, int], group_size: int | str) -> Iterator[Group]:
    """Yield the groups row by row; the last of a row may be short."""
    rows, cols = shape
    if group_size == "tensor":
        yield (0, 0), (slice(0, rows), slice(0, cols))
        return
    _, groups = scales_shape(shape, group_size)
    width = cols if group_size == "row" else int(group_size)
    for row in range(rows):
        for group in range(groups):
            start = group * width
            yield (row, group), (slice(row, row + 1), slice(start, min(start + width, cols)))


def spread(of_groups: NDArray[Any], shape: tuple[int, int], group_size: int | str) -> NDArray[Any]:
    """Return [rows, columns] in which each element has what its group has in [rows, groups]."""
    elements = np.empty(shape, of_groups.dtype)
    for at, where in each_group(shape, group_size):
        elements[where] = of_groups[at]
    return elements
