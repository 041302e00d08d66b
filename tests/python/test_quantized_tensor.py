# SPDX-License-Identifier: Apache-2.0
"""QuantizedTensor: a value over arrays that are made when read."""

import copy
import gc
import math
import pickle
import sys

import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(11).normal(size=shape).astype(np.float32)


VARIANTS = [
    qr.quantize(weights(5, 300), "int4", name="blocks.0"),
    qr.quantize(weights(5, 300), "int4", symmetric=True, scale_dtype="float16"),
    qr.quantize(weights(3, 2, 7), "int2", packed=False, scale_dtype="bfloat16"),
    qr.quantize(weights(50), "int8", group_size="tensor"),
    qr.quantize(weights(5, 30).astype(ml_dtypes.bfloat16), "int8_rowwise"),
    qr.quantize(np.empty((0, 3), np.float64), "int8"),
]


def test_arrays_are_made_once_and_share_the_memory() -> None:
    q = qr.quantize(weights(4, 256), "int4")
    assert q.codes is q.codes
    assert q.scales is q.scales
    assert q.zero_points is q.zero_points
    q.codes[0, 0] ^= 0xFF
    assert q != qr.quantize(weights(4, 256), "int4")
    assert q.codes.flags.writeable
    assert q.codes.ctypes.data % 64 == 0


def test_arrays_outlive_their_tensor() -> None:
    q = qr.quantize(weights(64, 256), "int4")
    codes, scales, expected = q.codes, q.scales, q.copy()
    del q
    gc.collect()
    _ = [qr.quantize(np.zeros((64, 256), np.float32), "int4") for _ in range(10)]
    np.testing.assert_array_equal(codes, expected.codes)
    np.testing.assert_array_equal(scales, expected.scales)


@pytest.mark.parametrize("q", VARIANTS, ids=repr)
def test_pickle_and_copies_are_equal_and_detached(q: qr.QuantizedTensor) -> None:
    pickled = [pickle.loads(pickle.dumps(q, protocol)) for protocol in range(2, 6)]
    for each in (*pickled, copy.copy(q), copy.deepcopy(q), q.copy()):
        assert each == q
        assert each.name == q.name
        assert each.format == q.format
        assert each.dtype == q.dtype
        assert each.dtype_name == q.dtype_name
        np.testing.assert_array_equal(each.dequantize(), q.dequantize())
        if q.codes.size:
            assert not np.shares_memory(each.codes, q.codes)
            each.codes[0, 0] ^= 1
            assert each != q


def test_pickle_keeps_memory_out_of_band() -> None:
    q = VARIANTS[0]
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(q, 5, buffer_callback=buffers.append)
    assert len(buffers) == 3
    assert pickle.loads(data, buffers=[bytes(each) for each in buffers]) == q


def test_equality_counts_every_part() -> None:
    w = weights(4, 256)
    q = qr.quantize(w, "int4")
    assert q == qr.quantize(w, "int4", name="other name")
    assert q != qr.quantize(w.astype(np.float64), "int4")
    assert q != qr.quantize(w.reshape(4, 2, 128), "int4")
    assert q != qr.quantize(w, "int4", group_size=64)
    assert q != 3
    for part in ("codes", "scales", "zero_points"):
        other = q.copy()
        getattr(other, part)[-1, -1] += 1
        assert other != q
    with pytest.raises(TypeError, match="unhashable"):
        hash(q)


def test_repr_is_one_line() -> None:
    assert repr(VARIANTS[0]) == (
        "QuantizedTensor('blocks.0', shape=(5, 300), dtype='float32', format=Format('int4', "
        "group_size=128, symmetric=False, scale_dtype='float32', packed=True, "
        f"rounding='nearest'), nbytes={VARIANTS[0].nbytes})"
    )
    assert repr(VARIANTS[3]).startswith("QuantizedTensor(shape=(50,), ")


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.float32, "float32"),
        (np.float16, "float16"),
        (np.float64, "float64"),
        (ml_dtypes.bfloat16, "bfloat16"),
    ],
)
def test_it_remembers_the_dtype_of_its_source(dtype: type, name: str) -> None:
    q = qr.quantize(weights(2, 8).astype(dtype), "int8")
    assert q.dtype == np.dtype(dtype)
    assert q.dtype_name == name


@pytest.mark.parametrize("q", VARIANTS, ids=repr)
def test_dequantize_in_every_dtype(q: qr.QuantizedTensor) -> None:
    wide = q.dequantize()
    assert wide.dtype == np.float32
    assert wide.shape == q.shape
    np.testing.assert_array_equal(q.dequantize("float16"), wide.astype(np.float16))
    brain = q.dequantize("bfloat16")
    assert brain.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(
        brain.view(np.uint16), wide.astype(ml_dtypes.bfloat16).view(np.uint16)
    )
    np.testing.assert_array_equal(qr.dequantize(q, "float16"), q.dequantize("float16"))
    np.testing.assert_array_equal(q.dequantize(np.float32), wide)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_dequantize_into_memory(dtype: str) -> None:
    q = VARIANTS[0]
    out = np.empty(q.shape, ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert q.dequantize(dtype, out=out) is out
    assert out.tobytes() == q.dequantize(dtype).tobytes()


@pytest.mark.parametrize("dtype", ["float64", "int8", "float", None, 7, "bf16"])
def test_dequantize_to_another_dtype_is_refused(dtype: object) -> None:
    with pytest.raises(qr.InvalidInputError, match="dtype must be 'float32', 'float16' or"):
        VARIANTS[0].dequantize(dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "out",
    [
        np.empty((300, 5), np.float32),
        np.empty((5, 300), np.float16),
        np.empty((5, 600), np.float32)[:, ::2],
        np.broadcast_to(np.float32(0), (5, 300)),
        [0.0] * 1500,
    ],
)
def test_dequantize_to_a_wrong_out_is_refused(out: object) -> None:
    with pytest.raises(qr.InvalidInputError, match=r"^layer 'blocks\.0': out must be"):
        VARIANTS[0].dequantize("float32", out=out)  # type: ignore[arg-type]


def test_error_is_what_numpy_says() -> None:
    w = weights(40, 300)
    q = qr.quantize(w, "int4")
    restored = q.dequantize().astype(np.float64)
    difference = restored - w
    error = q.error(w)
    assert error.max_abs == np.abs(difference).max()
    assert error.rmse == pytest.approx(math.sqrt((difference**2).mean()), rel=1e-12)
    signal = (w.astype(np.float64) ** 2).sum()
    assert error.sqnr_db == pytest.approx(10 * math.log10(signal / (difference**2).sum()))
    cosine = (restored * w).sum() / math.sqrt((restored**2).sum() * signal)
    assert error.cosine == pytest.approx(cosine, rel=1e-12)
    assert error == q.error(w, threads=1) == q.error(w, threads=4)
    assert pickle.loads(pickle.dumps(error)) == error


def test_error_of_an_exact_tensor() -> None:
    q = qr.quantize(np.array([0.0, 1.0, 15.0], np.float32), "int4")
    assert q.error(q.dequantize()) == (0.0, 0.0, math.inf, 1.0)


def test_error_of_another_shape_is_refused() -> None:
    with pytest.raises(qr.InvalidInputError, match=r"shape \(5, 300\), not \(300, 5\)"):
        VARIANTS[0].error(weights(300, 5))
    with pytest.raises(qr.InvalidInputError, match="got list"):
        VARIANTS[0].error([1.0])


def build(**changed: object) -> qr.QuantizedTensor:
    q = VARIANTS[0]
    arguments: dict[str, object] = {
        "codes": q.codes,
        "scales": q.scales,
        "zero_points": q.zero_points,
        "format": q.format,
        "shape": q.shape,
        "name": "x",
    }
    return qr.QuantizedTensor(**{**arguments, **changed})  # type: ignore[arg-type]


def test_building_one_holds_the_arrays() -> None:
    q = build()
    assert q == VARIANTS[0]
    assert q.codes is VARIANTS[0].codes
    assert q.stats.bytes_in == 0
    assert build(shape=[5, 300], dtype="float16").dtype == np.float16


@pytest.mark.parametrize(
    "changed",
    [
        {"codes": VARIANTS[0].codes.tolist()},
        {"codes": VARIANTS[0].codes[:, :-1]},
        {"scales": VARIANTS[0].scales.astype(np.float64)},
        {"scales": None},
        {"zero_points": None},
        {"format": qr.Format("int8")},
        {"shape": (300, 5)},
        {"shape": (2**62, 2**62)},
        {"shape": ()},
        {"shape": (5, -300)},
        {"shape": (5, True)},
        {"shape": (5.0, 300)},
        {"shape": 1500},
        {"dtype": "int8"},
        {"name": 5},
        {"name": "\ud800"},
    ],
)
def test_building_one_from_what_does_not_fit_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(qr.InvalidInputError):
        build(**changed)


def unaligned(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Copy an array to where no element lies at a multiple of its size."""
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    memory[:] = array.view(np.uint8).ravel()
    return memory.view(array.dtype).reshape(array.shape)


def test_arrays_that_are_not_aligned_are_said_to_be_so() -> None:
    said = (
        r"^layer 'x': scales must be a C-contiguous numpy array of float32 and shape \(5, 3\), and "
        r"this one does not lie at a multiple of its element size in memory; pass its copy\(\)$"
    )
    scales = unaligned(VARIANTS[0].scales)
    with pytest.raises(qr.InvalidInputError, match=said):
        build(scales=scales)
    assert build(scales=scales.copy()) == VARIANTS[0]
    halves = VARIANTS[1]
    parts = (halves.codes, unaligned(halves.scales), None, halves.format, halves.shape)
    with pytest.raises(qr.InvalidInputError, match=r"float16 .*does not lie at a multiple"):
        qr.QuantizedTensor(*parts)
    for dtype in ("float32", "float16", ml_dtypes.bfloat16):
        out = unaligned(np.zeros((5, 300), dtype))
        with pytest.raises(qr.InvalidInputError, match=r"out must .*does not lie at a multiple"):
            VARIANTS[0].dequantize(np.dtype(dtype).name, out=out)
    q = VARIANTS[0].copy()
    with pytest.raises(qr.InvalidInputError, match=r"scales .*does not lie at a multiple"):
        qr.quantize(weights(5, 300), "int4", out=(q.codes, unaligned(q.scales), q.zero_points))


ELSEWHERE = np.zeros((2, 32), np.uint16)


class Elsewhere(np.ndarray):
    """Lies somewhere else, if one asks it."""

    def view(self, *_: object) -> NDArray[np.uint16]:  # type: ignore[override]
        return ELSEWHERE


def test_an_array_lies_where_numpy_says() -> None:
    q = qr.quantize(weights(2, 32), "int4")
    memory = np.zeros((2, 32), ml_dtypes.bfloat16)
    q.dequantize("bfloat16", out=np.ndarray.view(memory, Elsewhere))
    assert memory.tobytes() == q.dequantize("bfloat16").tobytes()
    assert not ELSEWHERE.any()


def test_scales_in_another_byte_order_are_said_to_be_so() -> None:
    with pytest.raises(qr.InvalidInputError, match=r"of float32 and shape \(5, 3\), not >f4 and"):
        build(scales=VARIANTS[0].scales.astype(">f4"))


@pytest.mark.parametrize("parts", [("codes", "scales"), ("codes", "zero_points")])
def test_a_tensor_whose_arrays_share_memory_is_no_out(parts: tuple[str, str]) -> None:
    w = weights(5, 300)
    q = qr.quantize(w, "int4")
    sizes = {name: getattr(q, name).nbytes for name in ("codes", "scales", "zero_points")}
    memory = np.zeros(sum(sizes.values()) + 64, np.uint8)
    arrays, begin = {}, 0
    for name, size in sizes.items():
        at = 0 if name in parts else begin
        begin = at + (size + 63) // 64 * 64
        arrays[name] = memory[at : at + size].view(getattr(q, name).dtype)
        arrays[name] = arrays[name].reshape(getattr(q, name).shape)
    shared = qr.QuantizedTensor(**arrays, format=q.format, shape=q.shape)
    before = memory.copy()
    for out in (shared, tuple(arrays.values())):
        with pytest.raises(
            qr.InvalidInputError, match=r"^layer 'x': the arrays of out must not ov"
        ):
            qr.quantize(w, "int4", name="x", out=out)
    np.testing.assert_array_equal(memory, before)
    assert shared.dequantize().shape == (5, 300)


@pytest.mark.parametrize("format_", [None, 5, "int5", ["int4"]])
def test_building_one_of_no_format_is_refused(format_: object) -> None:
    with pytest.raises(qr.UnsupportedFormatError):
        build(format=format_)


def test_it_holds_references_only_as_long_as_it_lives() -> None:
    codes = VARIANTS[0].codes.copy()
    before = sys.getrefcount(codes)
    q = build(codes=codes)
    assert sys.getrefcount(codes) == before + 1
    del q
    assert sys.getrefcount(codes) == before


def test_dequantizing_over_its_own_codes_is_refused() -> None:
    memory = np.zeros((4, 128 * 4), np.uint8)
    w = weights(4, 128)
    q = qr.quantize(w, "int8")
    codes = memory.ravel()[:512].reshape(4, 128)
    codes[...] = q.codes
    over = qr.QuantizedTensor(codes, q.scales, q.zero_points, q.format, q.shape)
    with pytest.raises(qr.InvalidInputError, match="must not overlap the tensor's own arrays"):
        over.dequantize(out=memory.view(np.float32))
    assert over == q
