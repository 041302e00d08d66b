# SPDX-License-Identifier: Apache-2.0
"""What quantize_file writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from checkpoints import as_array, header_bytes, make_checkpoint, raw_tensors
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

FORMAT = "int8_rowwise"
# Small tensors and embeddings too.
EVERY = [("", FORMAT)]
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


@pytest.mark.parametrize("model", ["flux", "controlnet", "lora"])
def test_every_tensor_is_the_engines_or_the_sources(
    model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = request.getfixturevalue(model)
    report = qr.quantize_file(source, tmp_path / "out.safetensors", FORMAT, rules=EVERY)
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

    assert [layer.name for layer in report.layers] == list(before)
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
    source = tmp_path / "in.safetensors"
    qr.quantize_file(source, tmp_path / "out.safetensors", FORMAT, rules=EVERY)
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
    report = qr.quantize_file(source, tmp_path / "out.safetensors", FORMAT, rules=EVERY)
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


@pytest.mark.parametrize(
    "rules",
    [
        5,
        [("a{99999999999}", None)],
        [("(" * 5000, None)],
        [(b"a", None)],
        [(3, None)],
    ],
)
def test_rules_that_are_none(rules: object, tmp_path: Path) -> None:
    save_file({"a.weight": np.ones((4, 4), np.float32)}, tmp_path / "in")
    with pytest.raises(qr.InvalidInputError, match="rule") as caught:
        qr.quantize_file(tmp_path / "in", tmp_path / "out", "int8_rowwise", rules=rules)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 500
