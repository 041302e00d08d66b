# SPDX-License-Identifier: Apache-2.0
"""legacy.quantize: lists in, lists out, with the values of quantize."""

import math
from typing import Any

import numpy as np
import pytest
import quarrow as qr


@pytest.mark.parametrize("bit_width", [8, 4, 2])
@pytest.mark.parametrize("shape", [(1,), (37,), (3, 5), (2, 3, 4)])
def test_equals_quantize_of_a_float64_array(bit_width: int, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(bit_width).normal(size=shape)
    made = qr.legacy.quantize({"a": values.tolist()}, bit_width=bit_width)
    q = qr.quantize(values, f"int{bit_width}", group_size="tensor", packed=False)
    assert q.zero_points is not None
    assert made == {
        "a": {
            "codes": q.codes.ravel().tolist(),
            "scales": q.scales.ravel().tolist(),
            "zero_points": q.zero_points.ravel().tolist(),
            "shape": list(shape),
            "bit_width": bit_width,
        }
    }
    assert all(type(code) is int for code in made["a"]["codes"])
    assert len(made["a"]["codes"]) == values.size


def test_several_layers_keep_their_order_and_ints_are_numbers() -> None:
    made = qr.legacy.quantize({"b": [1, 2, 3], "a": (0.5, 1)}, bit_width=8)
    assert list(made) == ["b", "a"]
    assert made["b"]["codes"] == [85, 170, 255]
    assert qr.legacy.quantize({}) == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "empty list"),
        ([[], []], "empty list"),
        ([[1.0], [1.0, 2.0]], "ragged"),
        ([[1.0], 2.0], "ragged"),
        ([1.0, [2.0]], "ragged"),
        ([1.0, True], "True of type bool"),
        ([1.0, "2"], "'2' of type str"),
        ([1.0, None], "None of type NoneType"),
        ([1j], "of type complex"),
        ([10**400], "beyond what a float"),
        ("12", "got str"),
        (3.0, "got float"),
        (None, "got NoneType"),
        (np.ones(3), "got ndarray"),
    ],
)
def test_bad_layers_are_named(values: Any, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'bad': .*{message}") as caught:
        qr.legacy.quantize({"good": [1.0], "bad": values}, bit_width=4)
    assert caught.value.name == "bad"


def test_non_finite_values_are_the_same_error() -> None:
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.legacy.quantize({"x": [1.0, math.nan]}, bit_width=4)
    assert (caught.value.name, caught.value.index) == ("x", 1)


@pytest.mark.parametrize("bit_width", [0, 3, 16, True, "4", None])
def test_other_widths_are_unsupported(bit_width: Any) -> None:
    with pytest.raises(qr.UnsupportedFormatError, match="bit_width must be 8, 4 or 2"):
        qr.legacy.quantize({"a": [1.0]}, bit_width=bit_width)


@pytest.mark.parametrize("layers", [[1.0], {1: [1.0]}, None])
def test_layers_are_a_mapping_of_names(layers: Any) -> None:
    with pytest.raises(qr.InvalidInputError):
        qr.legacy.quantize(layers, bit_width=4)


def test_a_list_that_holds_itself_is_refused() -> None:
    values: list[object] = []
    values.append(values)
    with pytest.raises(qr.InvalidInputError, match="nested more than 64 deep"):
        qr.legacy.quantize({"a": values})
