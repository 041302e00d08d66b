# SPDX-License-Identifier: Apache-2.0
"""legacy.quantize reads every list as a plain walk over its elements does."""

import enum
import sys
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import quarrow as qr
from hypothesis import example, given
from list_numbers import numbers_in


class Level(enum.IntEnum):
    """Numbers that are no plain int."""

    HIGH = 7


class Rows(list[Any]):
    """Lists that are no plain list."""


FLOATS = st.floats(-1e30, 1e30)
INTS = st.integers(-(2**70), 2**70)
SUBCLASSES = st.sampled_from([np.float64(0.25), Level.HIGH])
NO_NUMBERS: st.SearchStrategy[Any] = st.sampled_from(
    [True, False, None, "1", b"1", 1j, np.float32(1), np.int64(1), np.bool_(True), 10**400, {}, []]
)


def nested(elements: st.SearchStrategy[Any], shape: list[int]) -> st.SearchStrategy[Any]:
    """Draw lists and tuples of one shape."""
    for size in reversed(shape):
        same = st.lists(elements, min_size=size, max_size=size)
        elements = same | same.map(tuple)
    return elements


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)
REGULAR = SHAPES.flatmap(
    lambda shape: st.sampled_from([FLOATS, INTS, FLOATS | INTS, FLOATS | SUBCLASSES]).flatmap(
        lambda elements: nested(elements, shape)
    )
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """Regular lists with one element, or one list, in the place of another."""
    values = draw(SHAPES.flatmap(lambda shape: nested(FLOATS | INTS, shape)))
    wrong = draw(NO_NUMBERS | REGULAR | st.builds(Rows, REGULAR))

    def replaced(at: Any) -> Any:
        if not isinstance(at, list | tuple) or draw(st.integers(0, 3)) == 0:
            return wrong
        index = draw(st.integers(0, len(at) - 1))
        return [*at[:index], replaced(at[index]), *at[index + 1 :]]

    return replaced(values)


@given(values=REGULAR | damaged())
@example([1.0, True])
@example([True, 1.0])
@example([[1.0], [True]])
@example([1.0, "2"])
@example([["1"]])
@example([1, 2.0, 2**1024])
@example([2**53 + 1, -(2**64) - 1])
@example([[[1.0]], [[2.0], [3.0]]])
@example([[1.0, 2.0], [3.0]])
@example([[1.0], (2,), Rows([3.0])])
@example([np.float64(1.5), Level.HIGH])
@example([[1.0, [2.0]], [3.0, 4.0]])
def test_lists_are_read_as_element_by_element(values: Any) -> None:
    expected = numbers_in(values)
    if isinstance(expected, str):
        with pytest.raises(qr.InvalidInputError) as caught:
            qr.legacy.quantize({"x": values})
        assert str(caught.value).startswith("layer 'x': ")
        assert expected in str(caught.value)
        assert caught.value.name == "x"
        return
    shape, numbers = expected
    array = np.array(numbers, dtype=np.float64)
    q = qr.quantize(array, "int8", group_size="tensor", packed=False)
    made = qr.legacy.quantize({"x": values})["x"]
    assert made["shape"] == shape
    assert made["codes"] == q.codes.ravel().tolist()
    assert made["scales"] == q.scales.ravel().tolist()


@pytest.mark.parametrize("kind", [float, int])
@pytest.mark.parametrize("shape", [(600,), (30, 20), (600, 1)])
def test_no_line_of_python_runs_for_each_element(kind: Any, shape: tuple[int, ...]) -> None:
    values = np.arange(600).reshape(shape).astype(kind).tolist()
    lines = 0

    def count(*_: Any) -> Any:
        nonlocal lines
        lines += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        qr.legacy.quantize({"x": values})
    finally:
        sys.settrace(before)
    assert lines < 200
