# SPDX-License-Identifier: Apache-2.0
"""What holds for all input: the reference's bits, the error bound, and stable codes.

A failure prints the smallest input found and how to run it again.
"""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import quarrow as qr
from bit_identity import assert_same_stored, engine
from hypothesis import assume, example, given
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from reference import Fields, RangeOverflowError, quantize, stored_values
from reference.encoding import encode, unlimited_codes
from reference.groups import each_group
from reference.packing import unpack

GROUPS: list[int | str] = [1, 2, 3, 5, 8, 16, 31, 64, "row", "tensor"]


def matrices() -> st.SearchStrategy[NDArray[np.float32]]:
    """Draw matrices: any finite float32, or values of like magnitude times a power of two."""
    shapes = st.tuples(st.integers(1, 3), st.integers(1, 67))
    anything = arrays.arrays(
        np.float32, shapes, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
    alike = st.builds(
        np.ldexp,
        arrays.arrays(np.float32, shapes, elements=st.floats(-2, 2, width=32)),
        st.integers(-149, 120),
    )
    return anything | alike


def formats(scale_dtypes: tuple[str, ...]) -> st.SearchStrategy[Fields]:
    """Draw a format with its fields."""
    return st.builds(
        Fields.of,
        st.sampled_from(["int8", "int4", "int2"]),
        group_size=st.sampled_from(GROUPS),
        symmetric=st.booleans(),
        scale_dtype=st.sampled_from(scale_dtypes),
        packed=st.booleans(),
    )


def quantized(w: NDArray[np.float32], fields: Fields) -> qr.QuantizedTensor:
    """Quantize, passing over inputs whose range no float32 can hold."""
    try:
        quantize(w, fields)
    except RangeOverflowError:
        assume(condition=False)
    return engine(w, fields)


def codes_and_zero_points(
    q: qr.QuantizedTensor, fields: Fields
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    zero_points = np.zeros(q.scales.shape, np.int16) if q.zero_points is None else q.zero_points
    return unpack(q.codes, q.shape[1], fields), zero_points.astype(np.int16)


@given(matrices(), formats(("float32", "float16", "bfloat16")) | st.just(Fields.of("int8_rowwise")))
def test_the_engine_is_the_reference(w: NDArray[np.float32], fields: Fields) -> None:
    q = quantized(w, fields)
    stored = quantize(w, fields)
    assert_same_stored(q, stored)
    restored = stored_values(stored)
    assert q.dequantize().tobytes() == restored.tobytes()


@given(matrices(), formats(("float32",)))
@example(np.array([[2.0**-149, -(2.0**-130)]], np.float32), Fields.of("int8"))
@example(np.array([[1, 255, 127.5, -0.5]], np.float32), Fields.of("int8"))
def test_the_error_is_at_most_half_a_step(w: NDArray[np.float32], fields: Fields) -> None:
    """(1/2 + 2^-10) scale, where neither the code nor the restored value was limited."""
    q = quantized(w, fields)
    restored = q.dequantize().astype(np.float64)
    _, zero_points = codes_and_zero_points(q, fields)
    for at, where in each_group(w.shape, fields.group_size):
        scale = q.scales[at]
        free = unlimited_codes(w[where], scale, int(zero_points[at]), fields)
        inside = (free >= fields.lowest_code) & (free <= fields.highest_code)
        inside &= np.isfinite(restored[where])
        error = np.abs(w[where].astype(np.float64) - restored[where])[inside]
        assert (error <= (0.5 + 2.0**-10) * float(scale)).all()


@given(matrices(), formats(("float32", "float16", "bfloat16")))
def test_restored_values_have_the_same_codes(w: NDArray[np.float32], fields: Fields) -> None:
    """With the same scales and zero points; 8-bit codes of bfloat16 scales move by one at most."""
    q = quantized(w, fields)
    codes, zero_points = codes_and_zero_points(q, fields)
    restored = q.dequantize()
    allowed = 0
    if fields.format == "int8" and fields.scale_dtype == "bfloat16" and not fields.symmetric:
        allowed = 1  # its reciprocal has 8 bits: see test_bits_values
    for at, where in each_group(w.shape, fields.group_size):
        again = encode(
            restored[where], q.scales[at].astype(np.float32), int(zero_points[at]), fields
        )
        assert np.abs(again - codes[where]).max() <= allowed


@given(st.data())
def test_bytes_of_any_type(data: Any) -> None:
    """Any bytes, read as a type: quantized as the reference does, or refused for a reason."""
    dtype = data.draw(st.sampled_from([np.float16, np.float32, np.float64]))
    size = np.dtype(dtype).itemsize
    content = data.draw(st.binary(min_size=size, max_size=40 * size))
    w = np.frombuffer(content[: len(content) // size * size], dtype)
    fields = data.draw(formats(("float32",)))
    try:
        stored = quantize(w, fields)
    except RangeOverflowError:
        return
    assert_same_stored(engine(w, fields, nonfinite="saturate"), stored)
