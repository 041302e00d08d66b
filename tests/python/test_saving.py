# SPDX-License-Identifier: Apache-2.0
"""Quantized tensors of a program become the file that a file job writes."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

WRONG: Any = 3
FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("int8_rowwise", {}),
    ("int8", {}),
    ("int8", {"symmetric": True, "scale_dtype": "float16"}),
    ("int4", {"group_size": 32}),
    ("int4", {"symmetric": True, "scale_dtype": "bfloat16"}),
    ("int4", {"group_size": "row", "scale_dtype": "float16"}),
    ("int2", {"group_size": 16}),
    ("int2", {"symmetric": True, "group_size": "row"}),
]


def layers(dtype: str = "f4") -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(3)
    shapes = {"a.weight": (48, 256), "b.weight": (33, 128), "wide.weight": (16, 5 << 16)}
    return {name: random.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8"])
@pytest.mark.parametrize(("format_", "fields"), FORMATS)
def test_it_is_the_file_of_a_file_job(
    format_: str, fields: dict[str, Any], dtype: str, tmp_path: Path
) -> None:
    save_file(layers(dtype), tmp_path / "in", {"title": "x"})
    qr.quantize_file(tmp_path / "in", tmp_path / "of-a-file", format_, **fields)
    with qr.open(tmp_path / "in") as source:
        result = qr.quantize_batch(source, format_, **fields)
    report = result.save(tmp_path / "saved", metadata={"title": "x"})
    assert (tmp_path / "saved").read_bytes() == (tmp_path / "of-a-file").read_bytes()
    assert report.bytes_out == (tmp_path / "saved").stat().st_size
    assert [layer.action for layer in report.layers] == ["quantized"] * 3
    with qr.open(tmp_path / "saved") as checkpoint:
        assert dict(checkpoint) == dict(result)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("cols", [37, 64, 70_001])
def test_codes_of_a_byte_each_are_packed(
    bits: int,
    *,
    symmetric: bool,
    cols: int,
    tmp_path: Path,
) -> None:
    w = np.random.default_rng(0).normal(size=(40, cols)).astype("f")
    fields: dict[str, Any] = {"group_size": "row", "symmetric": symmetric}
    wide = qr.quantize(w, f"int{bits}", packed=False, **fields)
    packed = qr.quantize(w, f"int{bits}", **fields)
    qr.save({"a.weight": wide}, tmp_path / "wide")
    qr.save({"a.weight": packed}, tmp_path / "packed")
    assert (tmp_path / "wide").read_bytes() == (tmp_path / "packed").read_bytes()
    save_file({"a.weight": w}, tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "of-a-file", f"int{bits}", **fields)
    assert (tmp_path / "of-a-file").read_bytes() == (tmp_path / "packed").read_bytes()
    with qr.open(tmp_path / "wide") as checkpoint:
        assert checkpoint["a.weight"] == packed


def test_a_file_job_packs_codes_whatever_the_format_says(tmp_path: Path) -> None:
    save_file(layers(), tmp_path / "in")
    for format_ in ("int4", "int2"):
        qr.quantize_file(tmp_path / "in", tmp_path / "packed", format_)
        qr.quantize_file(tmp_path / "in", tmp_path / "wide", format_, packed=False)
        assert (tmp_path / "wide").read_bytes() == (tmp_path / "packed").read_bytes()
        entries = qr.quantize_state_dict(layers(), format_, packed=False)
        assert set(entries) == set(load_file(tmp_path / "packed"))


def test_arrays_lie_beside_quantized_tensors(tmp_path: Path) -> None:
    w = layers()["a.weight"]
    bias = np.arange(48, dtype="f2")
    report = qr.save({"a": qr.quantize(w, "int4"), "a.bias": bias}, tmp_path / "saved")
    assert [(layer.name, layer.action) for layer in report.layers] == [
        ("a.weight", "quantized"),
        ("a.bias", "kept"),
    ]
    with qr.open(tmp_path / "saved") as checkpoint:
        assert checkpoint["a.weight"] == qr.quantize(w, "int4")
        np.testing.assert_array_equal(checkpoint["a.bias"], bias)


def test_one_tensor_has_its_own_name(tmp_path: Path) -> None:
    q = qr.quantize(layers()["a.weight"], "int8", name="to_q")
    qr.save(q, tmp_path / "saved")
    with qr.open(tmp_path / "saved") as checkpoint:
        assert checkpoint["to_q.weight"] == q
    with pytest.raises(qr.InvalidInputError, match="has no name"):
        qr.save(qr.quantize(layers()["a.weight"], "int8"), tmp_path / "saved")


def test_a_state_dict_is_written_as_it_is(tmp_path: Path) -> None:
    entries = qr.quantize_state_dict(layers(), "int4", metadata={"format": "pt"})
    qr.save(entries, tmp_path / "saved")
    save_file(layers(), tmp_path / "in", {"format": "pt"})
    qr.quantize_file(tmp_path / "in", tmp_path / "quantized", "int4")
    with qr.open(tmp_path / "saved") as saved, qr.open(tmp_path / "quantized") as quantized:
        assert dict(saved) == dict(quantized)
        assert saved.metadata == quantized.metadata


def test_layers_that_failed_are_not_there(tmp_path: Path) -> None:
    bad = layers()["a.weight"].copy()
    bad[0, 0] = np.nan
    result = qr.quantize_batch({**layers(), "bad.weight": bad}, "int8", on_error="skip")
    result.save(tmp_path / "saved")
    with qr.open(tmp_path / "saved") as checkpoint:
        assert list(result) == ["a.weight", "b.weight", "wide.weight"]
        assert set(checkpoint) == set(result)


@pytest.mark.parametrize(
    ("shape", "format_", "fields", "reason"),
    [
        ((64,), "int8", {}, "fewer than two dimensions"),
        ((64, 100), "int4", {}, "the rows do not divide into whole groups"),
        ((64, 128), "int4", {"group_size": "tensor"}, "packs no layer that has one scale"),
        ((0, 128), "int4", {}, "no elements"),
        ((64, 8, 3), "int8_rowwise", {}, "convolution"),
    ],
)
def test_what_cannot_be_stored_is_told(
    shape: tuple[int, ...], format_: str, fields: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    q = qr.quantize(np.ones(shape, "f"), format_, **fields)
    (tmp_path / "saved").write_text("before")
    with pytest.raises(qr.UnsupportedFormatError, match=rf"layer 'x.weight' .*{reason}") as caught:
        qr.save(
            {"fine.weight": qr.quantize(np.ones((64, 64), "f"), "int8"), "x": q}, tmp_path / "saved"
        )
    assert caught.value.name == "x.weight"
    assert (tmp_path / "saved").read_text() == "before"


def test_arrays_of_a_caller_that_no_file_can_hold(tmp_path: Path) -> None:
    q = qr.quantize(layers()["a.weight"], "int4", scale_dtype="bfloat16")
    scales, zero_points = q.scales.copy(), q.zero_points
    assert zero_points is not None
    for value in (np.float32(1.0000001), np.float32(0), np.float32(-1), np.float32(np.inf)):
        scales[2, 1] = value
        made = qr.QuantizedTensor(q.codes, scales, zero_points, q.format, q.shape)
        with pytest.raises(qr.InvalidInputError, match=r"layer 'a.weight': scale 5 is no normal"):
            qr.save({"a": made}, tmp_path / "saved")
    zero_points = zero_points.copy()
    zero_points[1, 0] = 16
    made = qr.QuantizedTensor(q.codes, q.scales, zero_points, q.format, q.shape)
    with pytest.raises(qr.InvalidInputError, match=r"layer 'a.weight': zero point 2 is 16"):
        qr.save({"a": made}, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda q, path: qr.save([q], path), qr.InvalidInputError, "got list; save takes"),
        (lambda q, path: qr.save({1: q}, path), qr.InvalidInputError, "each item must be a name"),
        (lambda q, path: qr.save({"a": 3}, path), qr.InvalidInputError, "layer 'a'"),
        (lambda q, path: qr.save({"a": q, "a.weight": q}, path), qr.InvalidInputError, "rename"),
        (lambda q, _: qr.save({"a": q}, WRONG), qr.InvalidInputError, "path must be a path"),
        (lambda q, path: qr.save({"a": q}, path, "gguf"), qr.UnsupportedFormatError, "gguf files"),
        (lambda q, path: qr.save({"a": q}, path, "zip"), qr.UnsupportedFormatError, "container"),
        (lambda q, path: qr.save({}, f"{path}.gguf", "safetensors"), qr.InvalidInputError, "gguf"),
        (lambda q, path: qr.save({}, f"{path}.gguf"), qr.InvalidInputError, "architecture"),
        (lambda q, path: qr.save({"a": q}, path, sync=WRONG), qr.InvalidInputError, "sync must be"),
        (
            lambda q, path: qr.save({"a": q}, path, metadata={"a": WRONG}),
            qr.InvalidInputError,
            "must map strings to strings",
        ),
        (lambda q, path: qr.save({"a": q}, path / "none" / "x"), FileNotFoundError, "none"),
    ],
)
def test_arguments_that_cannot_be_used(
    call: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    q = qr.quantize(layers()["a.weight"], "int8")
    with pytest.raises(error, match=message):
        call(q, tmp_path)
    assert not list(tmp_path.iterdir())


def test_comfyui_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tensors = {
        "control_model.input_blocks.1.1.proj_in.weight": qr.quantize(
            np.ones((64, 64), "f"), "int8_rowwise"
        ),
        "control_model.zero_convs.0.0.weight": np.ones((64, 64), "f"),
    }
    (warning,) = qr.save(tensors, tmp_path / "x").warnings
    assert warning == (
        "ComfyUI would read the codes of 1 layer as weights: "
        "ComfyUI loads ControlNets and adapters without the scales of quantized layers"
    )
    assert warning in caplog.text


def test_a_job_is_counted(tmp_path: Path) -> None:
    result = qr.quantize_batch(layers(), "int4")
    qr.reset_metrics()
    result.save(tmp_path / "saved")
    assert qr.metrics()["save"].calls == 1
    assert qr.metrics()["save"].layers == 3


@pytest.mark.parametrize(
    ("entries", "metadata", "message"),
    [
        ({"__metadata__": np.zeros(3)}, None, "no tensor can have this name"),
        ({}, {"_quantization_metadata": "junk"}, "fits no layer that is saved"),
        ({}, {"quantization_config": "junk"}, "fits no layer that is saved"),
        ({}, {"quantization_config": '{"quant_method": "compressed-tensors"}'}, "fits no layer"),
    ],
)
@pytest.mark.parametrize("format_", ["int8", "int8_rowwise"])
def test_no_file_is_written_that_cannot_be_read(
    entries: dict[str, Any], metadata: Any, message: str, format_: str, tmp_path: Path
) -> None:
    q = qr.quantize(layers()["a.weight"], format_)
    (tmp_path / "saved").write_text("before")
    with pytest.raises(qr.InvalidInputError, match=message):
        qr.save({**entries, "a": q}, tmp_path / "saved", metadata=metadata)
    assert (tmp_path / "saved").read_text() == "before"
    if entries:
        with pytest.raises(qr.InvalidInputError, match=message):
            qr.quantize_state_dict(entries, format_)


@pytest.mark.parametrize(
    ("bits", "symmetric", "codes"),
    [
        (4, True, {-8: True, 7: True, 8: False, -9: False, 100: False}),
        (4, False, {0: True, 15: True, 16: False, 255: False}),
        (2, True, {-2: True, 1: True, 2: False, -3: False}),
        (2, False, {3: True, 4: False}),
    ],
)
def test_codes_of_a_byte_each_must_fit_their_bits(
    bits: int,
    codes: dict[int, bool],
    tmp_path: Path,
    *,
    symmetric: bool,
) -> None:
    format_ = qr.Format(f"int{bits}", symmetric=symmetric, packed=False)
    q = qr.quantize(layers()["a.weight"], format_)
    for code, fits in codes.items():
        own = q.codes.copy()
        own[3, 5] = code
        made = qr.QuantizedTensor(own, q.scales, q.zero_points, format_, q.shape)
        if fits:
            qr.save({"a": made}, tmp_path / "saved")
            with qr.open(tmp_path / "saved") as checkpoint:
                restored = checkpoint["a.weight"]
            assert isinstance(restored, qr.QuantizedTensor)
            np.testing.assert_array_equal(restored.dequantize(), made.dequantize())
            continue
        with pytest.raises(qr.InvalidInputError, match=rf"code 773 is none of {bits} bits"):
            qr.save({"a": made}, tmp_path / "saved")


def test_a_report_keeps_no_tensor_alive(tmp_path: Path) -> None:
    bias = np.ones(3)
    alive = weakref.ref(bias)
    report = qr.save({"bias": bias}, tmp_path / "saved")
    del bias
    assert alive() is None
    assert report.layers[0].name == "bias"
