# SPDX-License-Identifier: Apache-2.0
"""fp8_e4m3 and fp8_e5m2: their bits, their parts, and their files."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from numpy.typing import NDArray
from reference import float8_values
from reference.rounding import widen
from safetensors.numpy import save_file
from value_kinds import values_of

FORMATS = ["fp8_e4m3", "fp8_e5m2"]
STORED = {"fp8_e4m3": "F8_E4M3", "fp8_e5m2": "F8_E5M2"}

ml_dtypes = pytest.importorskip("ml_dtypes")


def codes_of(q: qr.QuantizedTensor) -> NDArray[np.uint8]:
    return q.codes.view(np.uint8)


@pytest.mark.parametrize("format_", FORMATS)
def test_codes_are_the_values_of_ml_dtypes(format_: str) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(1, 256)
    dtype = {"fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}[format_]
    theirs = codes.view(dtype).astype(np.float32)
    np.testing.assert_array_equal(float8_values(format_), theirs[0].astype(np.float64))
    plain = qr.Format(format_, scaled=False)
    made = qr.QuantizedTensor(codes.view(dtype), None, None, plain, (256,))
    np.testing.assert_array_equal(made.dequantize(), theirs[0])
    # Below the largest value a cast is ml_dtypes' cast.
    x = np.random.default_rng(1).normal(size=(64, 512)).astype(np.float32)
    np.testing.assert_array_equal(codes_of(qr.quantize(x, plain)), x.astype(dtype).view(np.uint8))


@pytest.mark.parametrize("format_", FORMATS)
def test_zeros_get_the_scale_one(format_: str) -> None:
    q = qr.quantize(np.zeros((4, 33), np.float16), format_)
    assert q.tensor_scale == np.float32(1)
    assert not codes_of(q).any()


@pytest.mark.parametrize("format_", FORMATS)
def test_parts(format_: str) -> None:
    q = qr.quantize(values_of("normal", (5, 7)), format_, name="a")
    assert list(q.parts) == ["codes", "tensor_scale"]
    assert q.parts["codes"] is q.codes
    assert q.part_dtypes == {"codes": STORED[format_], "tensor_scale": "F32"}
    assert q.codes.dtype.name in ("float8_e4m3fn", "float8_e5m2")
    assert (q.scales, q.zero_points, q.channel_scales, q.codebook) == (None, None, None, None)
    assert q.nbytes == 35 + 4
    plain = qr.quantize(values_of("normal", (5, 7)), format_, scaled=False)
    assert list(plain.parts) == ["codes"]
    assert (plain.tensor_scale, plain.nbytes) == (None, 35)
    for each in (q, plain):
        assert pickle.loads(pickle.dumps(each)) == each
        assert copy.deepcopy(each) == each
        again = qr.QuantizedTensor(
            each.codes.view(np.uint8),  # as it comes without ml_dtypes
            None,
            None,
            each.format,
            each.shape,
            tensor_scale=each.tensor_scale,
        )
        assert again == each
    assert q != plain


def test_fields_that_a_format_does_not_have_are_absent() -> None:
    format_ = qr.Format("fp8_e4m3")
    assert format_.fields() == {"scaled": True}
    assert repr(format_) == "Format('fp8_e4m3', scaled=True)"
    assert format_.symmetric is None
    assert format_.scale_dtype is None
    assert qr.Format("int8").scaled is None
    for field in ("group_size", "symmetric", "packed"):
        given: Any = {field: 1}
        with pytest.raises(qr.UnsupportedFormatError, match=f"no field '{field}'"):
            qr.Format("fp8_e4m3", **given)
    with pytest.raises(qr.UnsupportedFormatError, match="no field 'scaled'"):
        qr.Format("int8", scaled=True)
    assert pickle.loads(pickle.dumps(format_)) == format_
    assert hash(format_) != hash(qr.Format("fp8_e4m3", scaled=False))


def test_out_takes_a_tuple_or_a_mapping() -> None:
    w = values_of("normal", (6, 40))
    expected = qr.quantize(w, "fp8_e4m3")
    for as_mapping in (False, True):
        codes, scale = np.empty((6, 40), np.uint8), np.empty((), np.float32)
        parts = {"codes": codes, "tensor_scale": scale}
        out: Any = parts if as_mapping else tuple(parts.values())
        assert qr.quantize(w, "fp8_e4m3", out=out) == expected
        assert codes.tobytes() == expected.codes.tobytes()
        assert scale == expected.tensor_scale
    assert qr.quantize(w + 1, "fp8_e4m3", out=expected) is expected
    with pytest.raises(qr.InvalidInputError, match=r"arrays \(codes, tensor_scale\), not"):
        qr.quantize(w, "fp8_e4m3", out=(codes, scale, None))
    with pytest.raises(qr.InvalidInputError, match="there is no part 'code'"):
        qr.quantize(w, "fp8_e4m3", out={"code": codes})
    with pytest.raises(qr.InvalidInputError, match="tensor_scale must be a C-contiguous"):
        qr.quantize(w, "fp8_e4m3", out={"codes": codes})
    with pytest.raises(qr.InvalidInputError, match="scales must be None: this format has none"):
        qr.QuantizedTensor(codes, scale, None, "fp8_e4m3", (6, 40), tensor_scale=scale)


def test_arrow_and_back() -> None:
    given = {name: values_of(kind, (9, 64)) for name, kind in [("a", "normal"), ("b", "uniform")]}
    rules: list[tuple[str, str | qr.Format]] = [("a", "fp8_e4m3"), ("b", "int8")]
    result = qr.quantize_batch(given, "int4", rules=rules)
    table = pa.table(result)
    assert table.column_names[7:] == ["tensor_scale", "scale_codes", "channel_scales", "codebook"]
    first, second = table.to_pylist()
    scale = result["a"].tensor_scale
    assert scale is not None
    assert first["tensor_scale"] == float(scale)
    assert (first["scales"], first["zero_points"], first["scale_codes"]) == (None, None, None)
    assert second["tensor_scale"] is None
    assert json.loads(first["params"]) == {"scaled": True, "dtype": "float32"}
    restored: Any = qr.dequantize_arrow(table)
    for name, weights in zip(given, restored["weights"].to_pylist(), strict=True):
        np.testing.assert_array_equal(weights, result[name].dequantize().ravel())
    cast = pa.table(qr.quantize_batch(given, "fp8_e5m2", scaled=False))
    assert cast["tensor_scale"].null_count == 2
    again: Any = qr.dequantize_arrow(cast)
    assert (
        again["weights"].to_pylist()[0]
        == qr.quantize(given["a"], "fp8_e5m2", scaled=False).dequantize().ravel().tolist()
    )
    broken = first | {"tensor_scale": None}
    with pytest.raises(qr.InvalidInputError, match="'tensor_scale' is null"):
        qr.dequantize_arrow(pa.Table.from_pylist([broken], table.schema))
    foreign = first | {"scales": [1.0]}
    with pytest.raises(qr.InvalidInputError, match="'scales' must be null: fp8_e4m3 has none"):
        qr.dequantize_arrow(pa.Table.from_pylist([foreign], table.schema))


def checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {
        "blocks.0.q.weight": values_of("normal", (64, 96)).astype(np.float16),
        "blocks.0.q.bias": values_of("normal", (64,)).astype(np.float16),
        "conv.weight": values_of("normal", (8, 16, 3, 3)).astype(np.float16),
    }
    save_file(tensors, path)
    return tensors


@pytest.mark.parametrize("format_", FORMATS)
def test_a_scaled_file_is_comfyuis(tmp_path: Path, format_: str) -> None:
    source, out, back = (tmp_path / f"{name}.safetensors" for name in ("in", "out", "back"))
    tensors = checkpoint(source)
    report = qr.quantize_file(source, out, format_, runtime="none")
    reasons = {layer.name: layer.reason for layer in report.layers if layer.reason}
    assert "conv.weight" in reasons
    q = qr.quantize(tensors["blocks.0.q.weight"], format_, name="blocks.0.q.weight")
    with qr.open(out) as opened:
        assert opened["blocks.0.q.weight"] == q
    header = json.loads(out.read_bytes()[8 : 8 + int.from_bytes(out.read_bytes()[:8], "little")])
    assert header["blocks.0.q.weight_scale"] | {"data_offsets": None} == {
        "dtype": "F32",
        "shape": [],
        "data_offsets": None,
    }
    assert header["blocks.0.q.weight"]["dtype"] == STORED[format_]
    qr.dequantize_file(out, back)
    with qr.open(back) as opened:
        np.testing.assert_array_equal(
            opened["blocks.0.q.weight"].numpy(),  # type: ignore[union-attr]
            q.dequantize("float16"),
        )
    entries = qr.quantize_state_dict(tensors, format_, runtime="none")
    assert entries["blocks.0.q.weight_scale"].shape == ()
    # A second job to the same format leaves it alone.
    again = qr.quantize_file(out, tmp_path / "again.safetensors", format_, runtime="none")
    assert again.refusal is not None


@pytest.mark.parametrize("format_", FORMATS)
def test_a_cast_file_is_for_anybody(tmp_path: Path, format_: str) -> None:
    source, out, back = (tmp_path / f"{name}.safetensors" for name in ("in", "out", "back"))
    tensors = checkpoint(source)
    for runtime in (None, "none", "comfyui"):
        report = qr.quantize_file(source, out, format_, scaled=False, runtime=runtime)
        done = {layer.name for layer in report.layers if layer.action == "quantized"}
        assert done == {"blocks.0.q.weight", "conv.weight"}
        assert report.warnings == []
    with qr.open(out) as opened:
        assert set(opened) == set(tensors)
        stored = opened["conv.weight"]
        assert isinstance(stored, qr.QuantizedTensor)
        expected = qr.quantize(tensors["conv.weight"], format_, scaled=False)
        assert stored.format == expected.format
        assert stored.codes.tobytes() == expected.codes.tobytes()
        # The file's other floats tell what it was.
        assert stored.dtype == np.float16
    qr.dequantize_file(out, back)
    with qr.open(back) as opened:
        np.testing.assert_array_equal(
            opened["conv.weight"].numpy(),  # type: ignore[union-attr]
            expected.dequantize("float16"),
        )


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_old_scaled_files_are_read(tmp_path: Path, shape: tuple[int, ...], prefix: str) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    w = values_of("normal", (64, 96))
    q = qr.quantize(w, "fp8_e4m3")
    assert q.tensor_scale is not None
    f8 = ml_dtypes.float8_e4m3fn
    save_file(
        {
            f"{prefix}scaled_fp8": np.zeros(2, f8),
            f"{prefix}q.weight": q.codes,
            f"{prefix}q.scale_weight": q.tensor_scale.reshape(shape),
            f"{prefix}q.scale_input": np.ones((), np.float32),
            f"{prefix}q.bias": np.zeros(64, np.float16),
        },
        source,
    )
    with qr.open(source) as opened:
        stored = opened[f"{prefix}q.weight"]
        assert isinstance(stored, qr.QuantizedTensor)
        assert stored.format == qr.Format("fp8_e4m3")
        np.testing.assert_array_equal(stored.dequantize(), q.dequantize())
    report = qr.dequantize_file(source, out, dtype="float32")
    assert report.refusal is None
    with qr.open(out) as opened:
        assert set(opened) == {f"{prefix}q.weight", f"{prefix}q.bias"}
        values = opened[f"{prefix}q.weight"].numpy()  # type: ignore[union-attr]
    np.testing.assert_array_equal(values, widen(q.dequantize()))


def test_a_scale_that_is_no_number_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    q = qr.quantize(values_of("normal", (8, 16)), "fp8_e4m3")
    text = np.frombuffer(b'{"format": "float8_e4m3fn"}', np.uint8)
    entries = {"q.weight": q.codes, "q.comfy_quant": text}
    save_file(entries | {"q.weight_scale": np.ones((8, 1), np.float32)}, source)
    with pytest.raises(qr.CheckpointError, match=r"q\.weight_scale"):
        qr.open(source)
    save_file(entries, source)
    with pytest.raises(qr.CheckpointError, match=r"q\.weight_scale"):
        qr.open(source)


def test_old_layers_with_other_scales_are_left_with_their_marker(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    q = qr.quantize(values_of("normal", (8, 16)), "fp8_e4m3")
    assert q.tensor_scale is not None
    entries = {
        "scaled_fp8": np.zeros(2, ml_dtypes.float8_e4m3fn),
        "a.weight": q.codes,
        "a.scale_weight": q.tensor_scale,
        "a.scale_input": np.ones((), np.float32),
        "b.weight": q.codes,
        "b.scale_weight": np.ones((8, 1), np.float32),
    }
    save_file(entries, source)
    qr.dequantize_file(source, out)
    with qr.open(out) as opened:
        assert set(opened) == {"scaled_fp8", "a.weight", "b.weight", "b.scale_weight"}
        assert opened["b.weight"].dtype == "F8_E4M3"
        # The only floats beside it are the scales of b.
        assert opened["a.weight"].dtype == "F32"
    del entries["b.scale_weight"], entries["b.weight"]
    save_file(entries, source)
    qr.dequantize_file(source, out)
    with qr.open(out) as opened:
        assert set(opened) == {"a.weight"}
        assert opened["a.weight"].dtype == "BF16"
