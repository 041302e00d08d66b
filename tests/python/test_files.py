# SPDX-License-Identifier: Apache-2.0
"""What quantize_file writes, and what its report says."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import quarrow as qr
from checkpoints import header_bytes, make_checkpoint
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

FORMAT = "int8_rowwise"
ERROR_FIELDS = ("max_abs", "rmse", "sqnr_db", "cosine")
QUANT = '{"format": "int8_tensorwise", "orig_dtype": "torch.%s", "per_row": true}'


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flux") / "model.safetensors"
    return make_checkpoint("flux_controlnet_small", path, "--blocks", "1", "--max-bytes", "46M")


@pytest.fixture(scope="module")
def controlnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("controlnet") / "model.safetensors"
    return make_checkpoint("sd15_controlnet", path, "--max-bytes", "40M")


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lora") / "model.safetensors"
    return make_checkpoint("sd15_lora_kohya_r16", path, "--limit-tensors", "60")


def raw_tensors(path: Path) -> tuple[dict[str, tuple[str, tuple[int, ...], bytes]], Any]:
    """Read a file without quarrow and without numpy's idea of dtypes."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    metadata = header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["dtype"], tuple(entry["shape"]), data[begin:end])
    return tensors, metadata


def as_array(dtype: str, shape: tuple[int, ...], data: bytes) -> npt.NDArray[Any]:
    if dtype == "BF16":
        ml_dtypes = pytest.importorskip("ml_dtypes")
        return np.frombuffer(data, ml_dtypes.bfloat16).reshape(shape)
    numpy_dtype = {"F16": np.float16, "F32": np.float32, "F64": np.float64}[dtype]
    return np.frombuffer(data, numpy_dtype).reshape(shape)


@pytest.mark.parametrize("model", ["flux", "controlnet", "lora"])
def test_every_tensor_is_the_engines_or_the_sources(
    model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = request.getfixturevalue(model)
    report = qr.quantize_file(source, tmp_path / "out.safetensors", FORMAT)
    before, metadata_before = raw_tensors(source)
    after, metadata_after = raw_tensors(tmp_path / "out.safetensors")

    assert metadata_after == metadata_before
    expected = {}
    for name, (dtype, shape, data) in before.items():
        if len(shape) != 2 or not name.endswith(".weight"):
            expected[name] = (dtype, shape, data)
            continue
        q = qr.quantize(as_array(dtype, shape, data), FORMAT, name=name)
        layer = name.removesuffix(".weight")
        text = QUANT % {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[dtype]
        expected[name] = ("I8", shape, q.codes.tobytes())
        expected[f"{layer}.weight_scale"] = ("F32", (shape[0], 1), q.scales.tobytes())
        expected[f"{layer}.comfy_quant"] = ("U8", (len(text),), text.encode())
    assert after == expected

    assert [layer.name for layer in report.layers] == [
        name for name, _ in sorted(before.items(), key=lambda item: list(before).index(item[0]))
    ]
    quantized = {layer.name for layer in report.layers if layer.action == "quantized"}
    assert quantized == {name for name in before if after[name][0] == "I8"}
    assert quantized


def test_the_safetensors_library_reads_it(lora: Path, tmp_path: Path) -> None:
    qr.quantize_file(lora, tmp_path / "out.safetensors", FORMAT)
    tensors = load_file(tmp_path / "out.safetensors")
    source = load_file(lora)
    for name, original in source.items():
        layer = name.removesuffix(".weight")
        if f"{layer}.comfy_quant" not in tensors:
            np.testing.assert_array_equal(tensors[name], original)
            continue
        scales = tensors[f"{layer}.weight_scale"]
        restored = tensors[name].astype(np.float32) * scales
        assert np.all(np.abs(restored - original) <= (0.5 + 2**-10) * scales)
        description = json.loads(tensors[f"{layer}.comfy_quant"].tobytes())
        assert description["orig_dtype"] == f"torch.{original.dtype}"
    with safe_open(tmp_path / "out.safetensors", "np") as opened, safe_open(lora, "np") as before:
        assert opened.metadata() == before.metadata()


def test_data_is_aligned_and_in_the_order_of_the_source(tmp_path: Path) -> None:
    save_file(
        {
            "z.weight": np.ones((3, 5), np.float16),
            "a.weight": np.ones((1, 3), np.float32),
            "b.bias": np.ones(3, np.float16),
            "n": np.ones(3, np.uint8),
            "w": np.ones(3, np.float64),
        },
        tmp_path / "in.safetensors",
    )
    qr.quantize_file(tmp_path / "in.safetensors", tmp_path / "out.safetensors", FORMAT)
    content = (tmp_path / "out.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert (8 + length) % 8 == 0
    size = {"F64": 8, "F32": 4, "F16": 2, "I8": 1, "U8": 1}
    for entry in header.values():
        assert entry["data_offsets"][0] % size[entry["dtype"]] == 0
    in_order = sorted(header, key=lambda name: header[name]["data_offsets"])
    assert in_order == [
        *("w", "a.weight_scale", "z.weight_scale", "b.bias"),
        *("a.weight", "a.comfy_quant", "z.weight", "z.comfy_quant", "n"),
    ]
    assert list(header) == in_order


def test_two_runs_and_any_threads_give_the_same_file(flux: Path, tmp_path: Path) -> None:
    files = []
    for threads in (None, 1, 2, 4):
        qr.quantize_file(flux, tmp_path / "out.safetensors", FORMAT, threads=threads, sync=False)
        files.append((tmp_path / "out.safetensors").read_bytes())
    assert files[1:] == files[:-1]


def test_every_dtype_passes_through(tmp_path: Path) -> None:
    bits = {"BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "I32": 32, "U32": 32, "I64": 64}
    bits |= {"U64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4}
    bits |= {"F6_E2M3": 6, "F6_E3M2": 6, "F16": 16, "BF16": 16, "F32": 32, "F64": 64}
    header: dict[str, Any] = {}
    data = b""
    random = np.random.default_rng(0)
    for dtype, width in bits.items():
        size = 8 * width // 8
        header[f"{dtype}.x"] = {
            "dtype": dtype,
            "shape": [2, 4],
            "data_offsets": [len(data), len(data) + size],
        }
        data += random.bytes(size)
    source = tmp_path / "in.safetensors"
    source.write_bytes(header_bytes(header) + data)
    report = qr.quantize_file(source, tmp_path / "out.safetensors", FORMAT)
    assert raw_tensors(tmp_path / "out.safetensors")[0] == raw_tensors(source)[0]
    assert {layer.dtype for layer in report.layers} == set(bits)


ODD_NAMES = ["", " ", "a\nb", "\x00", "../../etc/passwd", "\u202egnp", "<b>[red]%s{}", "n" * 65536]


def test_odd_names_survive(tmp_path: Path) -> None:
    header: dict[str, Any] = {"__metadata__": {"\x00\n": "\u202e", "": ""}}
    data = b""
    for index, stem in enumerate(ODD_NAMES):
        for name in (stem, stem + ".weight"):
            header[name] = {
                "dtype": "F32",
                "shape": [1, 2],
                "data_offsets": [len(data), len(data) + 8],
            }
            data += np.array([index, 1], np.float32).tobytes()
    source = tmp_path / "in.safetensors"
    source.write_bytes(header_bytes(header) + data)
    report = qr.quantize_file(source, tmp_path / "out.safetensors", FORMAT)
    tensors, metadata = raw_tensors(tmp_path / "out.safetensors")
    assert metadata == header["__metadata__"]
    assert set(tensors) == {
        stem + end for stem in ODD_NAMES for end in ("", ".weight", ".weight_scale", ".comfy_quant")
    }
    assert {layer.name for layer in report.layers} == set(header) - {"__metadata__"}


@pytest.mark.parametrize("name", ["with space", "new\nline", "\u00fcnic\u00f6de \u202e", "a" * 243])
def test_odd_paths(name: str, lora: Path, tmp_path: Path) -> None:
    source = tmp_path / f"{name}.in"
    source.write_bytes(lora.read_bytes())
    report = qr.quantize_file(str(source), tmp_path / f"{name}.safetensors", FORMAT, sync=False)
    assert report.destination == str(tmp_path / f"{name}.safetensors")
    assert (tmp_path / f"{name}.safetensors").stat().st_size == report.bytes_out
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_without_tensors(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(header_bytes({}))
    report = qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT)
    assert len(report.layers) == 0
    assert load_file(tmp_path / "out") == {}


# ---- the report


Small = Callable[..., Path]


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
        lin__weight=(4, 6),
        conv__weight=(4, 6, 1, 1),
        norm__weight=(4,),
        scale__weight=(),
        table=(4, 6),
        none__weight=(0, 6),
        taken__weight=(4, 6),
        taken__weight_scale=(1,),
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
    }


def test_a_quantized_file_is_left_as_it_is(lora: Path, tmp_path: Path) -> None:
    qr.quantize_file(lora, tmp_path / "once", FORMAT)
    report = qr.quantize_file(tmp_path / "once", tmp_path / "twice", FORMAT)
    assert (tmp_path / "twice").read_bytes() == (tmp_path / "once").read_bytes()
    assert {layer.reason for layer in report.layers if layer.dtype == "I8"} == {"already quantized"}


def test_the_report_adds_up(flux: Path, tmp_path: Path) -> None:
    report = qr.quantize_file(flux, tmp_path / "out", FORMAT, measure_error=True)
    assert report.bytes_in == flux.stat().st_size
    assert report.bytes_out == (tmp_path / "out").stat().st_size
    tensors, _ = raw_tensors(tmp_path / "out")
    assert sum(layer.bytes_out for layer in report.layers) == sum(
        len(data) for _, _, data in tensors.values()
    )
    before, _ = raw_tensors(flux)
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
    source = small(a__weight=(4, 6), b=(3,))
    report = qr.quantize_file(source, tmp_path / "out", FORMAT, measure_error=True)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["format"] == FORMAT
    assert plain["source"] == str(source)
    assert [layer["name"] for layer in plain["layers"]] == ["a.weight", "b"]
    assert plain["layers"][0]["error"]["sqnr_db"] is None
    assert plain["layers"][0]["shape"] == [4, 6]


def test_layers_are_a_sequence(small: Small, tmp_path: Path) -> None:
    report = qr.quantize_file(small(a__weight=(2, 2), b=(3,)), tmp_path / "out", FORMAT)
    assert len(report.layers) == 2
    assert report.layers[-1].name == "b"
    assert [layer.name for layer in report.layers[::-1]] == ["b", "a.weight"]
    for index in (2, -3):
        with pytest.raises(IndexError):
            report.layers[index]
    assert repr(report).startswith("<FileReport int8_rowwise: 1 of 2 tensors quantized")


# ---- rules


def test_the_first_rule_that_finds_a_name_decides(small: Small, tmp_path: Path) -> None:
    source = small(q__weight=(2, 2), norm_q__weight=(2, 2), k__weight=(2, 2))
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
    assert report.warnings == ["the rule 'nowhere' decided on no tensor"]
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


@pytest.mark.parametrize("rules", [None, [("a", "int4")]])
def test_formats_without_a_layout_are_refused(rules: Any, small: Small, tmp_path: Path) -> None:
    source = small(a__weight=(2, 2))
    with pytest.raises(qr.UnsupportedFormatError, match="can carry: int8_rowwise"):
        qr.quantize_file(source, tmp_path / "out", "int4" if rules is None else FORMAT, rules=rules)
    assert not (tmp_path / "out").exists()


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


def test_progress_counts_bytes_and_names_every_tensor(controlnet: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    report = qr.quantize_file(
        controlnet,
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
def test_an_exception_in_progress_stops_the_job(
    stop_at: int, controlnet: Path, tmp_path: Path
) -> None:
    calls = 0

    def progress(_done: int, _total: int, name: str) -> None:
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise LookupError(name)

    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(LookupError):
        qr.quantize_file(controlnet, tmp_path / "out", FORMAT, progress=progress)
    assert calls == stop_at
    assert (tmp_path / "out").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
