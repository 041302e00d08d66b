# SPDX-License-Identifier: Apache-2.0
"""q8_0, q5_1, q5_0, q4_1 and q4_0: their bits in memory, and what they refuse."""

import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from value_kinds import values_of

BYTES = {"q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18}


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
