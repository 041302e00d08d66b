# SPDX-License-Identifier: Apache-2.0
"""The exceptions as values, and the words of the engine's reports."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import quarrow as qr

SAMPLES = [
    qr.QuarrowError("all of it"),
    qr.InvalidInputError("bad", name="x"),
    qr.NonFiniteError("worse", name="x", index=25, count=3, kind="+Inf"),
    qr.UnsupportedFormatError("unknown"),
    qr.CheckpointError("damaged", name="x"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_pickle_and_copy_keep_everything(error: qr.QuarrowError) -> None:
    for each in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(each) is type(error)
        assert str(each) == str(error)
        assert vars(each) == vars(error)
        assert each == error
        assert hash(each) == hash(error)


def test_equality_counts_type_message_and_attributes() -> None:
    error = qr.NonFiniteError("worse", name="x", index=25, count=3)
    assert error != qr.NonFiniteError("worse", name="x", index=24, count=3)
    assert error != qr.NonFiniteError("worse", name="y", index=25, count=3)
    assert error != qr.InvalidInputError("worse", name="x")
    assert error != "worse"


def test_the_tree() -> None:
    assert issubclass(qr.InvalidInputError, qr.QuarrowError)
    assert issubclass(qr.InvalidInputError, ValueError)
    assert issubclass(qr.NonFiniteError, qr.InvalidInputError)
    assert issubclass(qr.UnsupportedFormatError, qr.QuarrowError)
    assert issubclass(qr.UnsupportedFormatError, ValueError)
    assert issubclass(qr.CheckpointError, qr.QuarrowError)
    assert issubclass(qr.CheckpointError, ValueError)
    assert not issubclass(qr.UnsupportedFormatError, qr.InvalidInputError)


def with_non_finite() -> np.ndarray:
    w = np.ones((2, 50), np.float32)
    w[0, 25] = np.nan
    w[1, 0] = np.inf
    w[1, 3] = -np.inf
    return w


def test_non_finite_says_which_layer_what_and_where() -> None:
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize(with_non_finite(), "int4", name="x")
    assert str(caught.value) == (
        "layer 'x': 3 values are NaN or Inf; the first, NaN, at index 25 (row 0, column 25)"
    )
    error = caught.value
    assert (error.name, error.index, error.count, error.kind) == ("x", 25, 3, "NaN")


def test_non_finite_without_a_name() -> None:
    w = np.ones((3, 7), np.float16)
    w[2, 1] = -np.inf
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize(w, "int8")
    assert str(caught.value) == (
        "1 value is NaN or Inf; the first, -Inf, at index 15 (row 2, column 1)"
    )
    assert caught.value.name is None
    assert caught.value.kind == "-Inf"


@pytest.mark.parametrize("format_", ["int8", "int4", "int8_rowwise"])
@pytest.mark.parametrize("group_size", [None, "tensor"])
def test_the_first_of_many_tiles_is_named(format_: str, group_size: str | None) -> None:
    if format_ == "int8_rowwise" and group_size:
        pytest.skip("int8_rowwise has no group size")
    w = np.ones((1024, 1024), np.float32)
    w[3, 1000] = np.inf
    w[900:, :] = np.nan
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize(w, format_, group_size=group_size, threads=2)
    assert caught.value.index == 3 * 1024 + 1000
    assert caught.value.count == 1 + 124 * 1024
    assert caught.value.kind == "+Inf"


@pytest.mark.parametrize("format_", ["int8", "int4", "int8_rowwise"])
@pytest.mark.parametrize("group_size", [None, "tensor"])
def test_f64_beyond_f32_is_said_to_be_so(format_: str, group_size: str | None) -> None:
    options: dict[str, Any] = {} if format_ == "int8_rowwise" else {"group_size": group_size}
    w = np.ones((300, 1000))
    w[1, 7], w[299, 999] = -1e300, 3.5e38
    said = (
        "layer 'x': the value -1e+300 at index 1007 (row 1, column 7) is finite but beyond "
        "float32, in which the engine works (up to 3.4028235e+38), as is 1 more; divide the "
        "tensor by a constant first"
    )
    with pytest.raises(qr.InvalidInputError) as caught:
        qr.quantize(w, format_, name="x", threads=2, **options)
    assert not isinstance(caught.value, qr.NonFiniteError)
    assert (str(caught.value), caught.value.name) == (said, "x")
    skipped = qr.quantize_batch({"x": w}, format_, on_error="skip", **options)
    assert skipped.errors == {"x": caught.value}
    assert qr.quantize(w / 1e270, format_, **options).shape == w.shape
    saturated = qr.quantize(w, format_, nonfinite="saturate", **options)
    w[1, 7], w[299, 999] = -np.inf, np.inf
    assert saturated == qr.quantize(w, format_, nonfinite="saturate", **options)


def test_nan_and_inf_are_counted_without_what_is_beyond_f32() -> None:
    w = np.array([1.0, np.nan, 1e300, -np.inf])
    with pytest.raises(
        qr.NonFiniteError, match=r"^2 values are NaN or Inf; the first, NaN"
    ) as caught:
        qr.quantize(w, "int8")
    assert (caught.value.index, caught.value.count) == (1, 2)
    with pytest.raises(qr.InvalidInputError, match=r"^the value 1e\+300 at index 1 .*; divide"):
        qr.quantize(w[[0, 2, 1]], "int8")


def test_the_largest_f32_is_not_beyond_it() -> None:
    # Half a step further rounds to Inf.
    for largest in (3.4028234663852886e38, 3.4028235677973362e38):
        assert qr.quantize(np.array([[largest, 0.0]]), "int8_rowwise").codes[0, 0] == 127
    with pytest.raises(qr.InvalidInputError, match=r"the value 3\.4028235677973366e\+38 at"):
        qr.quantize(np.array([[3.4028235677973366e38, 0.0]]), "int8_rowwise")


def test_a_range_beyond_f32_names_its_group() -> None:
    w = np.zeros((2, 8), np.float32)
    w[1, 4:6] = [3e38, -3e38]
    with pytest.raises(
        qr.InvalidInputError,
        match=r"^layer 'x': the group that starts at index 12 "
        r"\(row 1, column 4\)",
    ) as caught:
        qr.quantize(w, "int4", group_size=4, name="x")
    assert not isinstance(caught.value, qr.NonFiniteError)
    assert caught.value.name == "x"


def test_the_name_is_quoted_as_python_does() -> None:
    with pytest.raises(qr.NonFiniteError, match=r"^layer \"it's\\n\": 1 value"):
        qr.quantize(np.array([np.nan], np.float32), "int4", name="it's\n")


def test_saturate_takes_them() -> None:
    q = qr.quantize(with_non_finite(), "int8", nonfinite="saturate", symmetric=True)
    assert q.codes[1, 0] == 127
    assert q.codes[1, 3] == -128
    assert q.codes[0, 25] == 0


def test_names_and_values_that_no_message_can_hold() -> None:
    class Name(str):
        __slots__ = ()

        def __repr__(self) -> str:
            return "\ud800"

    bad = np.full((2, 2), np.nan, np.float32)
    with pytest.raises(qr.NonFiniteError, match=r"layer \\ud800: 4 values"):
        qr.quantize(bad, "int4", name=Name("x"))
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize(bad, "int4", name="x" * 1_000_000)
    assert len(str(caught.value)) < 1000
    assert caught.value.name == "x" * 1_000_000
