# SPDX-License-Identifier: Apache-2.0
"""q8_0, q5_1, q5_0, q4_1 and q4_0: their bits in memory, and what they refuse."""

import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from reference import ScaleOverflowError, dequantize_blocks, quantize_blocks
from value_kinds import KINDS, values_of

BYTES = {"q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18}


def assert_is_reference(w: Any, format_: str, **options: Any) -> None:
    q = qr.quantize(w, format_, **options)
    matrix = w.reshape(w.shape[0] if w.ndim > 1 else 1, -1)
    np.testing.assert_array_equal(q.codes, quantize_blocks(matrix, format_))
    restored = dequantize_blocks(q.codes, format_).reshape(w.shape)
    np.testing.assert_array_equal(q.dequantize().view(np.uint32), restored.view(np.uint32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format_", BYTES)
def test_every_kind_of_values(format_: str, kind: str) -> None:
    w = values_of(kind, (9, 320))
    try:
        quantize_blocks(w, format_)
    except ScaleOverflowError:
        with pytest.raises(qr.InvalidInputError, match="than its scale can hold"):
            qr.quantize(w, format_)
        return
    assert_is_reference(w, format_)


@pytest.mark.parametrize("shape", [(32,), (1, 32), (70, 32), (3, 2080), (5, 2, 64)], ids=str)
@pytest.mark.parametrize("format_", BYTES)
def test_every_shape_and_dtype(format_: str, shape: tuple[int, ...]) -> None:
    for dtype in (np.float32, np.float16, np.float64, ml_dtypes.bfloat16):
        for threads in (1, 2):
            assert_is_reference(values_of("normal", shape).astype(dtype), format_, threads=threads)


@pytest.mark.parametrize("format_", BYTES)
def test_strided_rows_and_rows_of_several_tiles(format_: str) -> None:
    w = values_of("normal", (6, 512))
    rows = w[::2, 32:352]
    np.testing.assert_array_equal(
        qr.quantize(rows, format_).codes, quantize_blocks(np.ascontiguousarray(rows), format_)
    )
    wide = values_of("normal", (2, 70_016))
    first = qr.quantize(wide, format_, threads=1)
    assert qr.quantize(wide, format_, threads=2) == first
    stored = quantize_blocks(wide[:, -640:], format_)
    np.testing.assert_array_equal(first.codes[:, -stored.shape[1] :], stored)


@pytest.mark.parametrize("format_", BYTES)
def test_blocks_are_one_part_of_bytes(format_: str) -> None:
    w = values_of("normal", (4, 96))
    q = qr.quantize(w, format_, name="a")
    assert list(q.parts) == ["codes"]
    assert q.part_dtypes == {"codes": format_.upper()}
    assert q.codes.dtype == np.uint8
    assert q.codes.shape == (4, 3 * BYTES[format_])
    assert (q.scales, q.zero_points, q.nbytes) == (None, None, q.codes.nbytes)
    assert pickle.loads(pickle.dumps(q)) == q
    assert qr.QuantizedTensor(q.codes, None, None, format_, q.shape) == q
    out = np.empty_like(q.codes)
    assert qr.quantize(w, format_, out=(out,)) == q
    table = pa.table(qr.quantize_batch({"a": w, "b": w}, format_))
    assert table["codes"].to_pylist() == [q.codes.tobytes()] * 2
    restored: Any = qr.dequantize_arrow(table)
    np.testing.assert_array_equal(restored["weights"].to_pylist()[1], q.dequantize().ravel())
    assert qr.Format(format_).fields() == {}


@pytest.mark.parametrize("format_", BYTES)
def test_rows_that_are_not_whole_blocks_are_refused(format_: str) -> None:
    words = r"layer 'a': a tensor of shape \(4, 70\) has rows that are not whole blocks of 32"
    with pytest.raises(qr.InvalidInputError, match=words):
        qr.quantize(np.ones((4, 70), np.float32), format_, name="a")
    with pytest.raises(qr.InvalidInputError, match="not whole blocks of 32 columns"):
        qr.quantize_batch({"a": np.ones((4, 70), np.float32)}, format_)
    for shape in ((0, 64), (3, 0)):
        assert qr.quantize(np.ones(shape, np.float32), format_).nbytes == 0


@pytest.mark.parametrize("format_", BYTES)
def test_a_scale_that_float16_cannot_hold_is_told_with_its_block(format_: str) -> None:
    w = values_of("normal", (3, 64))
    w[1, 40] = 3e7
    with pytest.raises(qr.InvalidInputError, match=r"index 96 \(row 1, column 32\) spans more"):
        qr.quantize(w, format_)


@pytest.mark.parametrize("format_", BYTES)
def test_what_is_not_finite(format_: str) -> None:
    w = values_of("normal", (3, 64))
    w[1, 40], w[1, 41], w[2, 0] = np.nan, np.inf, -np.inf
    with pytest.raises(qr.NonFiniteError, match="row 1, column 40"):
        qr.quantize(w, format_)
    restored = qr.quantize(w, format_, nonfinite="saturate").dequantize()
    assert np.isfinite(restored).all()
    finite = np.isfinite(w)
    with np.errstate(invalid="ignore"):
        assert np.abs(restored - w)[finite].max() <= np.abs(w[finite]).max() / 7
    block = w[1, 32:]
    largest, least = block[np.isfinite(block)].max(), block[np.isfinite(block)].min()
    assert abs(restored[1, 40]) <= (largest - least) / 2
    # Around a middle the codes reach one step farther on one side.
    assert restored[1, 41] >= largest * 0.8
    assert restored[2, 0] <= w[2, :32][np.isfinite(w[2, :32])].min() * 0.8
