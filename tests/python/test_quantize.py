# SPDX-License-Identifier: Apache-2.0
"""quantize: what comes out, and where it is put."""

import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def test_it_is_the_compiled_function() -> None:
    assert type(qr.quantize).__module__ == "quarrow._core"
    assert not hasattr(qr.quantize, "__code__")
    assert qr.quantize.__module__ == "quarrow._core"


@pytest.mark.parametrize(
    ("format_", "fields", "codes", "codes_dtype", "scales"),
    [
        ("int4", {}, (6, 68), "uint8", (6, 2)),
        ("int4", {"packed": False}, (6, 135), "uint8", (6, 2)),
        ("int4", {"symmetric": True}, (6, 68), "uint8", (6, 2)),
        ("int4", {"symmetric": True, "packed": False}, (6, 135), "int8", (6, 2)),
        ("int4", {"group_size": "row"}, (6, 68), "uint8", (6, 1)),
        ("int4", {"group_size": "tensor"}, (6, 68), "uint8", (1, 1)),
        ("int4", {"group_size": 1000}, (6, 68), "uint8", (6, 1)),
        ("int2", {}, (6, 34), "uint8", (6, 2)),
        ("int8", {}, (6, 135), "uint8", (6, 1)),
        ("int8", {"symmetric": True}, (6, 135), "int8", (6, 1)),
        ("int8", {"packed": True}, (6, 135), "uint8", (6, 1)),
        ("int8_rowwise", {}, (6, 135), "int8", (6, 1)),
    ],
)
def test_shapes_and_dtypes(
    format_: str,
    fields: dict[str, object],
    codes: tuple[int, int],
    codes_dtype: str,
    scales: tuple[int, int],
) -> None:
    q = qr.quantize(weights(6, 135), format_, **fields)  # type: ignore[arg-type]
    assert q.codes.shape == codes
    assert q.codes.dtype == codes_dtype
    assert q.scales.shape == scales
    assert q.scales.dtype == np.float32
    if q.format.symmetric:
        assert q.zero_points is None
    else:
        assert q.zero_points is not None
        assert q.zero_points.shape == scales
        assert q.zero_points.dtype == np.uint8
    assert q.shape == (6, 135)
    parts = [q.codes, q.scales, q.zero_points]
    assert q.nbytes == sum(part.nbytes for part in parts if part is not None)
    assert q.stats.bytes_out == q.nbytes


@pytest.mark.parametrize("shape", [(10,), (2, 3, 4, 5), (1, 1), (7, 1)])
def test_a_tensor_is_rows_and_the_rest(shape: tuple[int, ...]) -> None:
    w = weights(*shape)
    matrix = w.reshape(1 if w.ndim == 1 else shape[0], -1)
    q = qr.quantize(w, "int8")
    assert q.shape == shape
    assert q.codes.shape == matrix.shape
    np.testing.assert_array_equal(q.codes, qr.quantize(matrix, "int8").codes)
    assert q.dequantize().shape == shape


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0), (3, 0, 2)])
@pytest.mark.parametrize("format_", ["int8", "int4", "int8_rowwise"])
def test_zero_size_is_valid(shape: tuple[int, ...], format_: str) -> None:
    q = qr.quantize(np.empty(shape, np.float32), format_)
    assert q.shape == shape
    assert q.codes.size == 0
    assert q.dequantize().shape == shape
    assert q.error(np.empty(shape, np.float32)).rmse == 0


def test_scales_have_their_dtype() -> None:
    w = weights(4, 256)
    wide = qr.quantize(w, "int4").scales
    half = qr.quantize(w, "int4", scale_dtype="float16")
    assert half.scales.dtype == np.float16
    np.testing.assert_array_equal(half.scales, wide.astype(np.float16))
    assert half.nbytes == half.codes.nbytes + half.scales.nbytes + half.scales.size
    assert not half.scales.flags.writeable
    brain = qr.quantize(w, "int4", scale_dtype="bfloat16").scales
    assert brain.dtype == np.float32
    assert not (brain.view(np.uint32) & 0xFFFF).any()
    np.testing.assert_allclose(brain, wide, rtol=2**-8)


def test_the_name_and_the_seed_decide_stochastic_rounding() -> None:
    w = weights(8, 256)

    def codes(name: str | None, seed: int) -> bytes:
        q = qr.quantize(w, "int4", name=name, rounding="stochastic", seed=seed)
        return q.codes.tobytes()

    assert codes("a", 1) == codes("a", 1)
    assert codes("a", 1) != codes("b", 1)
    assert codes("a", 1) != codes("a", 2)
    nearest = qr.quantize(w, "int4", name="a").codes.tobytes()
    assert nearest == qr.quantize(w, "int4", name="b").codes.tobytes()
    assert nearest != codes("a", 1)


def test_stats_add_up() -> None:
    w = weights(512, 1024)
    stats = qr.quantize(w, "int4", threads=1).stats
    assert stats.bytes_in == w.nbytes
    assert stats.bytes_copied == 0
    assert stats.threads == 1
    assert stats.isa == qr.info()["isa"]
    parts = stats.view_seconds + stats.alloc_seconds + stats.core_seconds + stats.export_seconds
    assert 0 < stats.core_seconds <= stats.total_seconds
    assert parts == pytest.approx(stats.total_seconds)


def test_small_work_stays_on_the_calling_thread() -> None:
    assert qr.quantize(weights(4, 4), "int4", threads=8).stats.threads == 1
    assert qr.quantize(weights(1024, 1024), "int4", threads=2).stats.threads == 2
    # Two tiles, too little to wake another thread for.
    assert qr.quantize(weights(512, 256), "int4", threads=2).stats.threads == 1


@pytest.mark.parametrize("format_", ["int4", "int8", "int8_rowwise"])
def test_any_number_of_threads_gives_the_same_bytes(format_: str) -> None:
    w = weights(700, 1030)
    made = [qr.quantize(w, format_, threads=threads) for threads in (1, 2, 3, 4)]
    assert all(each == made[0] for each in made)


def test_out_as_a_tensor_is_written_and_returned() -> None:
    w = weights(8, 256)
    for fields in ({}, {"scale_dtype": "float16"}):
        out = qr.quantize(np.zeros_like(w), "int4", name="old", **fields)  # type: ignore[arg-type]
        codes, scales = out.codes, out.scales
        result = qr.quantize(w, "int4", name="new", out=out, **fields)  # type: ignore[arg-type]
        fresh = qr.quantize(w, "int4", **fields)  # type: ignore[arg-type]
        assert result is out
        assert out == fresh
        assert out.name == "new"
        assert out.codes is codes
        np.testing.assert_array_equal(codes, fresh.codes)
        np.testing.assert_array_equal(out.scales, fresh.scales)
        if not fields:
            assert out.scales is scales


def test_out_takes_the_dtype_of_the_new_input() -> None:
    w = weights(8, 256)
    out = qr.quantize(w, "int4")
    assert qr.quantize(w.astype(np.float64), "int4", out=out).dtype == np.float64


@pytest.mark.parametrize("scale_dtype", ["float32", "float16"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_out_as_arrays_is_written_in_place(scale_dtype: str, symmetric: bool) -> None:  # noqa: FBT001
    w = weights(8, 256)
    codes = np.empty((8, 128), np.uint8)
    scales = np.empty((8, 2), scale_dtype)
    zero_points = None if symmetric else np.empty((8, 2), np.uint8)
    q = qr.quantize(
        w,
        "int4",
        symmetric=symmetric,
        scale_dtype=scale_dtype,
        out=(codes, scales, zero_points),
    )
    assert q.codes is codes
    assert q.scales is scales
    assert q.zero_points is zero_points
    assert q == qr.quantize(w, "int4", symmetric=symmetric, scale_dtype=scale_dtype)
    np.testing.assert_array_equal(q.dequantize(), q.copy().dequantize())


def parts(**changed: object) -> tuple[object, object, object]:
    made: dict[str, object] = {
        "codes": np.empty((8, 128), np.uint8),
        "scales": np.empty((8, 2), np.float32),
        "zero_points": np.empty((8, 2), np.uint8),
    }
    made.update(changed)
    return made["codes"], made["scales"], made["zero_points"]


def read_only(array: NDArray[np.float32]) -> NDArray[np.float32]:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((8, 128), np.uint8), "must be a QuantizedTensor or a tuple"),
        (parts()[:2], "must be a QuantizedTensor or a tuple"),
        ("out", "must be a QuantizedTensor or a tuple"),
        (parts(codes=None), "codes must be a C-contiguous numpy array of uint8 and shape"),
        (parts(codes=bytearray(1024)), "codes must be .* not <class 'bytearray'>"),
        (parts(codes=np.empty((8, 127), np.uint8)), r"not uint8 and shape \(8, 127\)"),
        (parts(codes=np.empty(1024, np.uint8)), r"not uint8 and shape \(1024,\)"),
        (parts(codes=np.empty((8, 128), np.int8)), "not int8"),
        (parts(codes=np.empty((8, 256), np.uint8)[:, ::2]), "not contiguous"),
        (parts(codes=np.empty((8, 128), np.uint8, order="F")), "not contiguous"),
        (parts(scales=np.empty((8, 2), np.float64)), "scales must be .* not float64"),
        (parts(scales=np.empty((8, 2), ">f4")), "scales must be .* not >f4"),
        (parts(scales=read_only(np.empty((8, 2), np.float32))), "read-only"),
        (parts(zero_points=None), "zero_points must be"),
        (parts(zero_points=np.empty((2, 8), np.uint8)), "zero_points must be"),
    ],
)
def test_a_wrong_out_is_refused(out: object, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'x': .*{message}") as caught:
        qr.quantize(weights(8, 256), "int4", name="x", out=out)  # type: ignore[arg-type]
    assert caught.value.name == "x"


def test_zero_points_that_the_format_lacks_are_refused() -> None:
    with pytest.raises(qr.InvalidInputError, match="zero_points must be None"):
        qr.quantize(weights(8, 256), "int4", symmetric=True, out=parts())  # type: ignore[arg-type]


def test_an_out_of_another_format_or_shape_is_refused() -> None:
    w = weights(8, 256)
    for out in (
        qr.quantize(w, "int4", group_size=64),
        qr.quantize(w, "int8"),
        qr.quantize(w.reshape(16, 128), "int4"),
        qr.quantize(w.reshape(8, 2, 128), "int4"),
    ):
        before = out.copy()
        with pytest.raises(qr.InvalidInputError, match="out must have the format"):
            qr.quantize(w, "int4", out=out)
        assert out == before


def test_an_out_over_read_only_arrays_is_refused() -> None:
    w = weights(8, 256)
    q = qr.quantize(w, "int4")
    scales = q.scales.copy()
    scales.flags.writeable = False
    frozen = qr.QuantizedTensor(q.codes, scales, q.zero_points, q.format, q.shape)
    with pytest.raises(qr.InvalidInputError, match="read-only"):
        qr.quantize(w, "int4", out=frozen)


def test_an_out_that_overlaps_the_input_is_refused() -> None:
    memory = np.zeros(8 * 256 * 4, np.uint8)
    w = memory.view(np.float32).reshape(8, 256)
    codes, scales, zero_points = parts()
    for out in (
        (memory[:1024].reshape(8, 128), scales, zero_points),
        (memory[-1024:].reshape(8, 128), scales, zero_points),
        (codes, memory[64:128].view(np.float32).reshape(8, 2), zero_points),
        (codes, scales, memory[:16].reshape(8, 2)),
    ):
        with pytest.raises(qr.InvalidInputError, match="out must not overlap the input"):
            qr.quantize(w, "int4", out=out)  # type: ignore[arg-type]
        with pytest.raises(qr.InvalidInputError, match="out must not overlap the input"):
            qr.quantize(w[::-1], "int4", out=out)  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2", 1025, 2**80])
def test_threads_that_cannot_be(threads: object) -> None:
    with pytest.raises(qr.InvalidInputError, match=r"^threads must be a whole number from 1 to"):
        qr.quantize(weights(2, 4), "int4", threads=threads)  # type: ignore[arg-type]
    q = qr.quantize(weights(2, 4), "int4")
    with pytest.raises(qr.InvalidInputError, match=r"^threads must be"):
        q.dequantize(threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("nonfinite", "ignore"), ("nonfinite", None), ("name", 3), ("name", "\ud800"), ("copy", 1)],
)
def test_other_arguments_that_cannot_be(keyword: str, value: object) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^{keyword} must be"):
        qr.quantize(weights(2, 4), "int4", **{keyword: value})  # type: ignore[arg-type]


def test_a_missing_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        qr.quantize(weights(2, 4))  # type: ignore[call-arg]


def test_overlapping_parts_of_out_are_refused() -> None:
    codes, zero_points = np.zeros((8, 128), np.uint8), np.zeros((8, 2), np.uint8)
    for out in (
        (codes, codes[0, :64].view(np.float32).reshape(8, 2), zero_points),
        (codes, np.zeros((8, 2), np.float32), codes[-1, -16:].reshape(8, 2)),
    ):
        with pytest.raises(qr.InvalidInputError, match="must not overlap each other"):
            qr.quantize(weights(8, 256), "int4", out=out)


def test_half_scales_over_the_input_are_refused() -> None:
    w = np.ones((8, 256), np.float16)
    before = w.copy()
    out = (np.zeros((8, 128), np.uint8), w[0, :16].reshape(8, 2), np.zeros((8, 2), np.uint8))
    with pytest.raises(qr.InvalidInputError, match="out must not overlap the input"):
        qr.quantize(w, "int4", scale_dtype="float16", out=out)
    np.testing.assert_array_equal(w, before)
