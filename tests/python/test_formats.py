# SPDX-License-Identifier: Apache-2.0
"""Every registered format, held to its reference: bits, bounds, parts, and the ways in and out."""

import copy
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from numpy.typing import NDArray
from reference.format_reference import (
    Fields,
    FormatReference,
    UnrepresentableError,
    name_of,
    references,
    variants,
)
from reference.groups import as_matrix
from reference.rounding import widen
from safetensors.numpy import save_file
from value_kinds import KINDS, values_of

FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
LAYER = "double_blocks.0.img_attn.qkv.weight"

every_variant = pytest.mark.parametrize(
    ("of", "fields"),
    [pytest.param(of, fields, id=name_of(of.format, fields)) for of, fields in variants()],
)


def bits(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def engine(of: FormatReference, fields: Fields, w: NDArray[Any], **call: Any) -> qr.QuantizedTensor:
    return qr.quantize(w, qr.Format(of.format, **fields), **call)


def assert_is_reference(
    of: FormatReference, fields: Fields, w: NDArray[Any], **call: Any
) -> qr.QuantizedTensor:
    matrix = as_matrix(w)
    expected = of.quantize(matrix, fields, call.get("name", ""))
    q = engine(of, fields, w, **call)
    assert list(q.parts) == list(expected)
    for role, part in expected.items():
        assert bits(q.parts[role]) == bits(part), role
    values = of.dequantize(expected, matrix.shape, fields)
    assert bits(q.dequantize()) == bits(values)
    return q


def test_every_format_has_a_reference() -> None:
    assert set(references()) == {each.name for each in qr.formats()}


@every_variant
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_values(of: FormatReference, fields: Fields, kind: str) -> None:
    w = values_of(kind, (9, 4 * max(of.block, 64) + (7 if of.block == 1 else 0)))
    try:
        of.quantize(w, fields, "")
    except UnrepresentableError:
        with pytest.raises(qr.InvalidInputError, match="index"):
            engine(of, fields, w)
        return
    assert_is_reference(of, fields, w)


@every_variant
@pytest.mark.parametrize("kind", ["normal", "uniform", "constant", "zero", "ties", "one_outlier"])
def test_errors_stay_within_the_formats_bound(
    of: FormatReference, fields: Fields, kind: str
) -> None:
    w = values_of(kind, (32, 8 * max(of.block, 64)))
    q = engine(of, fields, w)
    x = w.astype(np.float64)
    error = np.abs(x - q.dequantize("float32"))
    bound = of.bound(x, q.parts, fields)
    assert bound.shape == x.shape
    assert (error <= bound).all(), float((error - bound).max())
    # A bound that everything meets would say nothing.
    assert kind != "normal" or error.max() >= bound.max() / 8


@every_variant
def test_every_shape_and_dtype(of: FormatReference, fields: Fields) -> None:
    block = of.block
    shapes = [(block,), (1, block), (70, block), (3, 65 * block), (5, 2, 2 * block)]
    shapes += [(0, 2 * block), (4, 0)]
    if block == 1:
        shapes += [(7,), (3, 131), (2, 3, 5)]
    for shape in shapes:
        for dtype in (np.float32, np.float16, np.float64, ml_dtypes.bfloat16):
            for threads in (1, 2):
                w = values_of("normal", shape).astype(dtype)
                assert_is_reference(of, fields, w, threads=threads)


@every_variant
def test_every_pattern_of_the_narrow_types_saturating(of: FormatReference, fields: Fields) -> None:
    if not of.saturates:
        return
    patterns = np.arange(1 << 16, dtype=np.uint16)
    for w in (patterns.view(np.float16), patterns.view(ml_dtypes.bfloat16)):
        within = np.abs(widen(w)) <= of.most
        kept = np.where(within | ~np.isfinite(widen(w)), w, w.dtype.type(1)).reshape(64, 1024)
        try:
            assert_is_reference(of, fields, kept, nonfinite="saturate")
        except UnrepresentableError:
            with pytest.raises(qr.InvalidInputError):
                engine(of, fields, kept, nonfinite="saturate")


@every_variant
def test_strided_rows_and_rows_of_several_tiles(of: FormatReference, fields: Fields) -> None:
    w = values_of("normal", (6, 16 * of.block + 512))
    rows = w[::2, of.block : of.block + 8 * max(of.block, 32)]
    assert_is_reference(of, fields, rows)
    wide = values_of("normal", (2, 70_016))
    assert engine(of, fields, wide, threads=2) == engine(of, fields, wide, threads=1)
    assert_is_reference(of, fields, wide)


@every_variant
def test_rows_must_be_whole_blocks(of: FormatReference, fields: Fields) -> None:
    w = np.ones((4, 2 * of.block + 1), np.float32)
    if of.block == 1:
        assert_is_reference(of, fields, w)
        return
    with pytest.raises(qr.InvalidInputError, match=f"not whole blocks of {of.block}"):
        engine(of, fields, w)


@every_variant
def test_what_is_not_finite_is_told_with_its_place(of: FormatReference, fields: Fields) -> None:
    for odd in (np.nan, np.inf, -np.inf):
        w = values_of("normal", (6, 2 * max(of.block, 32)))
        w[3, 17] = odd
        with pytest.raises(qr.NonFiniteError, match="row 3, column 17"):
            engine(of, fields, w)
        saturated = engine(of, fields, w, nonfinite="saturate")
        assert np.isfinite(saturated.dequantize()).all()
        if of.saturates:
            assert_is_reference(of, fields, w, nonfinite="saturate")


@every_variant
def test_a_tensor_is_its_parts(of: FormatReference, fields: Fields) -> None:
    w = values_of("normal", (24, 4 * (of.block if of.block > 1 else 35)))
    q = assert_is_reference(of, fields, w, name="a")
    assert q.nbytes == sum(part.nbytes for part in q.parts.values())
    assert set(q.part_dtypes) == set(q.parts)
    assert pickle.loads(pickle.dumps(q)) == q
    assert copy.deepcopy(q) == q
    for role in ("scales", "zero_points", "tensor_scale", "channel_scales", "codebook"):
        assert (getattr(q, role) is None) == (role not in q.parts)
    out: Any
    for out in (
        {role: np.empty(part.shape, part.dtype) for role, part in q.parts.items()},
        tuple(np.empty(part.shape, part.dtype) for part in q.parts.values()),
    ):
        made = engine(of, fields, w, name="a", out=out)
        assert made == q
        memory = out.values() if isinstance(out, dict) else out
        assert [bits(part) for part in memory] == [bits(part) for part in q.parts.values()]
    rest: dict[str, Any] = {role: part for role, part in q.parts.items() if role != "codes"}
    again = qr.QuantizedTensor(
        q.codes,
        rest.pop("scales", None),
        rest.pop("zero_points", None),
        q.format,
        q.shape,
        **rest,
    )
    assert [bits(part) for part in again.parts.values()] == [bits(p) for p in q.parts.values()]
    assert pickle.loads(pickle.dumps(q.format)) == q.format
    stated: dict[str, Any] = q.format.fields()
    assert qr.Format(of.format, **stated) == q.format


@every_variant
def test_a_batch_and_arrow_hold_the_same(of: FormatReference, fields: Fields) -> None:
    given = {
        name: values_of(kind, (8, 2 * (of.block if of.block > 1 else 35)))
        for name, kind in (("a", "normal"), ("b", "uniform"))
    }
    format_ = qr.Format(of.format, **fields)
    batch = qr.quantize_batch(given, format_)
    for name, w in given.items():
        assert batch[name] == engine(of, fields, w, name=name)
    table = pa.table(batch)
    restored: Any = qr.dequantize_arrow(table)
    for row, name in enumerate(given):
        values = np.array(restored["weights"].to_pylist()[row], np.float32)
        assert bits(values) == bits(batch[name].dequantize())


@every_variant
def test_files_and_state_dicts_hold_the_same(
    tmp_path: Path, of: FormatReference, fields: Fields
) -> None:
    """In every kind of file that carries the format: saved, quantized, and as a state dict."""
    w = values_of("normal", (48, 70 * 128)).astype(np.float16)
    format_ = qr.Format(of.format, **fields)
    q = qr.quantize(w, format_, name=LAYER)
    source = tmp_path / "in.safetensors"
    tensors = {FLUX: np.ones(128, np.float16), LAYER: w}
    save_file(tensors, source)
    carried = 0
    for ending in ("safetensors", "gguf"):
        quantized, saved, back = (tmp_path / f"{name}.{ending}" for name in ("q", "s", "b"))
        try:
            report = qr.quantize_file(source, quantized, format_)
        except qr.UnsupportedFormatError:
            assert not quantized.exists()
            continue
        carried += 1
        layer = next(each for each in report.layers if each.name == LAYER)
        assert layer.is_quantized == of.in_files(fields), layer.reason
        if not layer.is_quantized:
            continue
        qr.save({LAYER: q}, saved, metadata={"general.architecture": "flux"})
        for path in (quantized, saved):
            with qr.open(path) as opened:
                stored = opened[LAYER]
                assert isinstance(stored, qr.QuantizedTensor)
                assert stored.shape == q.shape
                assert bits(stored.dequantize()) == bits(q.dequantize())
        qr.dequantize_file(quantized, back)
        with qr.open(back) as opened:
            plain = opened[LAYER]
            assert isinstance(plain, qr.CheckpointTensor)
            assert bits(plain.numpy()) == bits(q.dequantize("float16"))
        again = qr.quantize_file(quantized, tmp_path / f"again.{ending}", format_)
        assert {each.action for each in again.layers} == {"kept"}
        if ending == "safetensors":
            entries = qr.quantize_state_dict(tensors, format_)
            assert bits(qr.dequantize_state_dict(entries)[LAYER]) == bits(q.dequantize("float16"))
    assert carried
