# SPDX-License-Identifier: Apache-2.0
"""Whatever is passed: a result, or a typed error that names the layer; the next call works."""

import array
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from hypothesis import given
from hypothesis.extra import numpy as arrays

GOOD = np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)
EXPECTED = qr.quantize(GOOD, "int4")


OPTIONS = [
    "format", "group_size", "symmetric", "scale_dtype", "packed", "rounding", "seed", "threads",
    "name", "copy", "nonfinite", "out", "unknown",
]  # fmt: skip


class Crooked:
    """An array of a library whose conversion fails in a way of its own."""

    def __array__(self, *_arguments: Any, **_options: Any) -> Any:
        return 1 / 0


class CrookedDevice(Crooked):
    """The same of one that has DLPack."""

    def __dlpack__(self, **_options: Any) -> Any:
        return 1 / 0

    def __dlpack_device__(self) -> tuple[int, int]:
        raise ZeroDivisionError


class Refuses:
    """An object whose every protocol fails."""

    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError("no")  # noqa: EM101

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __array__(self, *_arguments: Any, **_options: Any) -> Any:
        raise RuntimeError("no")  # noqa: EM101

    def __arrow_c_stream__(self, _schema: object = None) -> object:
        raise RuntimeError("no")  # noqa: EM101


def numpy_arrays() -> st.SearchStrategy[Any]:
    """Draw arrays of any dtype, shape, order, byte order and step."""
    every = arrays.arrays(
        arrays.scalar_dtypes() | st.just(np.dtype("O")),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        fill=st.nothing(),
        elements=None,
    )
    floats = arrays.arrays(
        st.sampled_from(["<f4", ">f4", "<f8", ">f8", "<f2", ">f2"]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
    views: list[Callable[[Any], Any]] = [
        lambda a: a,
        lambda a: a.T,
        lambda a: a[..., ::2] if a.ndim else a,
        lambda a: a[::-1] if a.ndim else a,
        np.asfortranarray,
        lambda a: np.broadcast_to(a, (2, *a.shape)),
    ]
    return st.builds(lambda view, a: view(a), st.sampled_from(views), floats | every)


def anything() -> st.SearchStrategy[Any]:
    """Draw what no tensor is, and what may be one."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    nested = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=5,
    )
    others = st.sampled_from(
        [
            Refuses(), Crooked(), CrookedDevice(), object(), Refuses, np.float32,
            array.array("i", [1]), array.array("d", [1]),
            memoryview(b"abcd"), range(3), EXPECTED, qr.Format("int4"), np.ma.masked_array([1.0]),
            pa.array([1.0, None]), pa.array([1, 2]), {1.0}, lambda: 3,
            np.zeros(2, "V3"),
        ]
    )  # fmt: skip
    return nested | numpy_arrays() | others


def assert_the_next_call_works() -> None:
    assert qr.quantize(GOOD, "int4") == EXPECTED
    assert qr.quantize_batch({"a": GOOD}, "int4")["a"] == EXPECTED


def outcome(call: Callable[[], Any]) -> Any:
    """Return the result, or the typed error; any other exception fails the test."""
    try:
        return call()
    except qr.QuarrowError as error:
        assert str(error)  # noqa: PT017
        return error


@given(anything(), st.sampled_from(["int4", "int8_rowwise"]), st.booleans())
def test_any_object_as_a_tensor(w: Any, format_: str, copy: bool) -> None:  # noqa: FBT001
    single = outcome(lambda: qr.quantize(w, format_, name="layer", copy=copy))
    if isinstance(single, qr.QuarrowError):
        assert single.name == "layer"
        assert str(single).startswith("layer 'layer': ")
    else:
        assert single.shape == np.shape(w)
    # In a batch and in its skipping, the very same.
    batch = outcome(lambda: qr.quantize_batch({"good": GOOD, "layer": w}, format_, copy=copy))
    skipped = qr.quantize_batch({"layer": w, "good": GOOD}, format_, copy=copy, on_error="skip")
    assert skipped["good"] == qr.quantize(GOOD, format_)
    if isinstance(single, qr.QuarrowError):
        assert batch == single
        assert skipped.errors == {"layer": single}
    else:
        assert batch["layer"] == single == skipped["layer"]
    assert_the_next_call_works()


@given(anything())
def test_any_object_as_a_batch(layers: Any) -> None:
    result = outcome(lambda: qr.quantize_batch(layers, "int4"))
    if not isinstance(result, qr.QuarrowError):
        assert not isinstance(layers, (str, bytes, np.ndarray))
        assert len(result) == len(layers)
    assert_the_next_call_works()


@given(anything())
def test_any_object_as_arrow_data_or_lists(source: Any) -> None:
    if isinstance(source, Refuses):
        with pytest.raises(RuntimeError, match="no"):
            qr.quantize_arrow(source, "int4")
    else:
        result = outcome(lambda: qr.quantize_arrow(source, "int4"))
        if source is not EXPECTED:
            assert isinstance(result, qr.InvalidInputError)
    result = outcome(lambda: qr.legacy.quantize({"layer": source}))
    if isinstance(result, qr.QuarrowError):
        assert result.name == "layer"
    result = outcome(lambda: qr.legacy.quantize(source))
    assert isinstance(result, qr.QuarrowError | dict)
    assert_the_next_call_works()


@given(anything())
def test_any_object_in_a_state_dict(value: Any) -> None:
    result = outcome(
        lambda: qr.quantize_state_dict({"layer": value}, "int4", rules=[("", "int8_rowwise")])
    )
    if isinstance(result, qr.QuarrowError):
        assert "layer" in str(result)
    whole = outcome(lambda: qr.quantize_state_dict(value, "int4"))
    assert isinstance(whole, qr.QuarrowError | dict)
    assert_the_next_call_works()


@given(
    st.sampled_from(OPTIONS),
    anything(),
)
def test_any_object_as_an_option(option: str, value: Any) -> None:
    options = {"format": "int4", option: value}
    single = outcome(lambda: qr.quantize(GOOD, **options))
    assert isinstance(single, qr.QuarrowError | qr.QuantizedTensor)
    if option not in ("name", "out"):
        batch = outcome(lambda: qr.quantize_batch({"a": GOOD}, **options))
        assert isinstance(batch, qr.QuarrowError | qr.BatchResult)
        assert isinstance(batch, qr.QuarrowError) == isinstance(single, qr.QuarrowError)
    assert_the_next_call_works()
