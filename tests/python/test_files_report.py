# SPDX-License-Identifier: Apache-2.0
"""What quantize_file reports: layers and reasons, rules, warnings, progress."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from checkpoints import as_array, make_checkpoint, raw_tensors
from safetensors.numpy import save_file

FORMAT = "int8_rowwise"
ERROR_FIELDS = ("max_abs", "rmse", "sqnr_db", "cosine")
Small = Callable[..., Path]


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lora") / "model.safetensors"
    return make_checkpoint("sd15_lora_kohya_r16", path, "--limit-tensors", "60")


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Write a small file of f32 ones by name and shape."""

    def write(**shapes: tuple[int, ...]) -> Path:
        path = tmp_path / "in.safetensors"
        arrays = {
            name.replace("__", "."): np.ones(shape, np.float32) for name, shape in shapes.items()
        }
        save_file(arrays, path)
        return path

    return write


def test_reasons(small: Small, tmp_path: Path) -> None:
    source = small(
        lin__weight=(32, 32),
        conv__weight=(4, 6, 1, 1),
        norm__weight=(4,),
        scale__weight=(),
        table=(4, 6),
        none__weight=(0, 6),
        taken__weight=(32, 32),
        taken__weight_scale=(1,),
        small__weight=(33, 31),
        norm__linear__weight=(32, 32),
        txt_norm__weight=(32, 32),
        token_embedding__weight=(32, 32),
    )
    report = qr.quantize_file(source, tmp_path / "out", FORMAT)
    assert {layer.name: layer.reason for layer in report.layers} == {
        "lin.weight": None,
        "conv.weight": "convolution, ComfyUI loads quantized linear weights only",
        "norm.weight": "fewer than two dimensions",
        "scale.weight": "fewer than two dimensions",
        "table": "the name does not end in .weight",
        "none.weight": "no elements",
        "taken.weight": "the file has an entry of the name that the scale or its description needs",
        "taken.weight_scale": "fewer than two dimensions",
        "small.weight": "fewer than 1024 elements",
        "norm.linear.weight": None,
        "txt_norm.weight": "norm",
        "token_embedding.weight": "embedding",
    }


def test_a_quantized_file_is_left_as_it_is(lora: Path, tmp_path: Path) -> None:
    qr.quantize_file(lora, tmp_path / "once", FORMAT)
    report = qr.quantize_file(tmp_path / "once", tmp_path / "twice", FORMAT)
    assert (tmp_path / "twice").read_bytes() == (tmp_path / "once").read_bytes()
    assert {layer.reason for layer in report.layers if layer.dtype == "I8"} == {
        "already quantized (ComfyUI)"
    }


def test_the_report_adds_up(lora: Path, tmp_path: Path) -> None:
    report = qr.quantize_file(lora, tmp_path / "out", FORMAT, measure_error=True)
    assert report.bytes_in == lora.stat().st_size
    assert report.bytes_out == (tmp_path / "out").stat().st_size
    tensors, _ = raw_tensors(tmp_path / "out")
    assert sum(layer.bytes_out for layer in report.layers) == sum(
        len(data) for _, _, data in tensors.values()
    )
    before, _ = raw_tensors(lora)
    for layer in report.layers:
        dtype, shape, data = before[layer.name]
        assert (layer.dtype, layer.shape, layer.bytes_in) == (dtype, shape, len(data))
        if layer.action == "kept":
            assert (layer.format, layer.error) == (None, None)
            continue
        assert (layer.format, layer.reason) == (FORMAT, None)
        weight = as_array(dtype, shape, data)
        stats = qr.quantize(weight, FORMAT).error(weight)
        assert layer.error == {field: getattr(stats, field) for field in ERROR_FIELDS}


def test_the_report_as_json(small: Small, tmp_path: Path) -> None:
    # Ones are stored without error: an SQNR of Inf, which JSON cannot hold.
    source = small(a__weight=(40, 60), b=(3,))
    report = qr.quantize_file(source, tmp_path / "out", FORMAT, measure_error=True)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["format"] == FORMAT
    assert plain["source"] == str(source)
    assert [layer["name"] for layer in plain["layers"]] == ["a.weight", "b"]
    assert plain["layers"][0]["error"]["sqnr_db"] is None
    assert plain["layers"][0]["shape"] == [40, 60]


def test_layers_are_a_sequence(small: Small, tmp_path: Path) -> None:
    report = qr.quantize_file(small(a__weight=(32, 32), b=(3,)), tmp_path / "out", FORMAT)
    assert len(report.layers) == 2
    assert report.layers[-1].name == "b"
    assert [layer.name for layer in report.layers[::-1]] == ["b", "a.weight"]
    for index in (2, -3):
        with pytest.raises(IndexError):
            report.layers[index]
    assert repr(report).startswith("<FileReport int8_rowwise: 1 quantized of 2 tensors,")


# ---- rules


def test_the_first_rule_that_finds_a_name_decides(small: Small, tmp_path: Path) -> None:
    source = small(q__weight=(2, 2), norm_q__weight=(2, 2), k__weight=(32, 32))
    rules = [("^norm", None), ("q", FORMAT), (r"q\.w", None)]
    report = qr.quantize_file(source, tmp_path / "out", FORMAT, rules=rules)
    assert {layer.name: layer.action for layer in report.layers} == {
        "q.weight": "quantized",
        "norm_q.weight": "kept",
        "k.weight": "quantized",
    }
    assert report.layers[1].name == "norm_q.weight"
    assert report.layers[1].reason == "left by the rule '^norm'"
    assert report.warnings == [r"the rule 'q\\.w' decided on no tensor"]


def test_a_rule_that_finds_nothing_warns(
    small: Small, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "quarrow"):
        report = qr.quantize_file(
            small(a__weight=(2, 2)), tmp_path / "out", FORMAT, rules=[("nowhere", None)]
        )
    assert report.warnings == [
        "the rule 'nowhere' decided on no tensor",
        "nothing was quantized: 1 tensor: fewer than 1024 elements",
    ]
    assert caplog.messages == report.warnings


def test_a_quantized_adapter_warns(lora: Path, tmp_path: Path) -> None:
    (warning,) = qr.quantize_file(lora, tmp_path / "out", FORMAT).warnings
    assert "no runtime loads quantized adapters" in warning


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([("(", None)], "regular expression"),
        ([("a",)], "must be"),
        (["ab"], "must be"),
        ([(3, None)], "regular expression"),
    ],
)
def test_bad_rules(rules: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(qr.InvalidInputError, match=message):
        qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT, rules=rules)


def test_unknown_formats_and_fields(small: Small, tmp_path: Path) -> None:
    source = small(a__weight=(2, 2))
    with pytest.raises(qr.UnsupportedFormatError, match="int8_rowwise"):
        qr.quantize_file(source, tmp_path / "out", "int8_rowwize")
    with pytest.raises(qr.UnsupportedFormatError, match="no field 'colour'"):
        qr.quantize_file(source, tmp_path / "out", FORMAT, colour=1)
    with pytest.raises(qr.UnsupportedFormatError, match="int8_rowwise"):
        qr.quantize_file(source, tmp_path / "out", FORMAT, rules=[("a", "int8_rowwize")])
    qr.quantize_file(source, tmp_path / "out", qr.Format(FORMAT))


# ---- progress


def test_progress_counts_bytes_and_names_every_tensor(lora: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    report = qr.quantize_file(
        lora,
        tmp_path / "out",
        FORMAT,
        progress=lambda done, total, name: calls.append((done, total, name)),
    )
    total = sum(layer.bytes_in for layer in report.layers)
    assert {call[1] for call in calls} == {total}
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert done[-1] == total
    names = list(dict.fromkeys(call[2] for call in calls))
    assert names == [layer.name for layer in report.layers]


@pytest.mark.parametrize("stop_at", [1, 30])
def test_an_exception_in_progress_stops_the_job(stop_at: int, lora: Path, tmp_path: Path) -> None:
    calls = 0

    def progress(_done: int, _total: int, name: str) -> None:
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise LookupError(name)

    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(LookupError):
        qr.quantize_file(lora, tmp_path / "out", FORMAT, progress=progress)
    assert calls == stop_at
    assert (tmp_path / "out").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
