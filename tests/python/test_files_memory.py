# SPDX-License-Identifier: Apache-2.0
"""The memory of a file job does not grow with the file, its layers or their number."""

import struct
import subprocess
import sys
from pathlib import Path

import gguf_bytes as raw
import numpy as np
import numpy.typing as npt
import pytest
import quarrow as qr
from checkpoints import header_bytes, write_zeros
from safetensors import safe_open
from workload import LARGE_FILES

pytestmark = [pytest.mark.slow, pytest.mark.memory]

LIMIT_BYTES = 64 << 20
# Peaks of a fresh process over what it had after its imports: of all its memory, and (of mapped
# files the pages do not count) of its own, sampled.
MEASURE = """
import sys
import threading
import quarrow as qr

source, out, way, io, *formats = sys.argv[1:]
EVERY = [("", "int8_rowwise")]

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

field = "VmHWM" if io == "read" else "RssAnon"
before = highest = kilobytes(field)
ended = threading.Event()

def sample():
    global highest
    while not ended.wait(0.02):
        highest = max(highest, kilobytes(field))

sampler = threading.Thread(target=sample)
sampler.start()
rule = "none"
try:
    if way == "quantize" and not formats:
        qr.quantize_file(
            source, out, "int8_rowwise", rules=EVERY, sync=False, measure_error=True, io=io
        )
    elif formats:
        every = [("", formats[0])]
        qr.quantize_file(source, out, formats[0], rules=every, sync=False, io=io)
    elif way == "int4":
        every = qr.Format("int4", group_size="row")
        qr.quantize_file(source, out, every, rules=[("", every)], sync=False, io=io)
    elif way == "shards":
        qr.quantize_file(source, out, "int8_rowwise", sync=False, max_shard_size="64MB", io=io)
    elif way == "convert":
        qr.quantize_file(
            source, out, "int8_rowwise", rules=[("", None)], dtype="float32", sync=False, io=io
        )
    else:
        qr.dequantize_file(source, out, sync=False, io=io)
except qr.CheckpointError as error:
    rule = error.rule
ended.set()
sampler.join()
print((max(highest, kilobytes(field)) - before) << 10, rule)
"""

# Still larger than what a job may hold.
FOURTH = 1 if LARGE_FILES else 4
ONE_ROW = (1 << 28) // FOURTH
SHAPES: dict[str, dict[str, tuple[str, tuple[int, ...], int]]] = {
    "one large layer": {"a.weight": ("F32", ((1 << 14) // FOURTH, 1 << 14), (1 << 30) // FOURTH)},
    "one long row": {"a.weight": ("F16", (1, ONE_ROW), 2 * ONE_ROW)},
    "one kept tensor": {"a": ("F16", ((1 << 29) // FOURTH,), (1 << 30) // FOURTH)},
    "many layers": {f"blocks.{i}.weight": ("BF16", (9, 3), 54) for i in range(100_000)},
    "many kept tensors": {f"blocks.{i}.bias": ("BF16", (2,), 4) for i in range(100_000)},
}


# Values instead of holes: name to rows, of LONG_ROW columns of f16.
LONG_ROW = 1 << 14
MEGABYTES_OF_ROWS = (1 << 20) // (2 * LONG_ROW)
PART = 1 if LARGE_FILES else 8
WRITTEN: dict[str, dict[str, int]] = {
    "2 GB": {f"blocks.{i}.weight": 32 * MEGABYTES_OF_ROWS for i in range(64 // PART)},
    "one tensor of 1.5 GB": {"a.weight": 1536 // PART * MEGABYTES_OF_ROWS},
}

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="no /proc to read peaks from"
)


def header_bytes_of(path: Path) -> int:
    if path.suffix == ".gguf":
        # A length, two dimensions, type and offset of each tensor.
        with qr.open(path) as opened:
            return sum(len(name.encode()) + 40 for name in opened)
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def assert_memory_is_bounded(
    source: Path,
    out: Path,
    rule: str = "none",
    *,
    way: str = "quantize",
    io: str = "read",
    header: int | None = None,
    formats: tuple[str, ...] = (),
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, source, out, way, io, *formats],
        capture_output=True,
        text=True,
        check=True,
    )
    # The header that is read, or the one that is written if that is longer.
    is_index = source.suffix == ".json"
    header = header or max(
        source.stat().st_size if is_index else header_bytes_of(source),
        header_bytes_of(out) if out.exists() else 0,
    )
    grown, broken = int(result.stdout.split()[0]), result.stdout.split()[1]
    size = source.stat().st_size
    print(f"{way} {io}, {size / 1e6:.0f} MB: {grown / 1e6:.1f} MB, header {header / 1e6:.1f} MB")
    assert broken == rule
    assert grown <= LIMIT_BYTES + 3 * header


def write_values(path: Path, layers: dict[str, int]) -> npt.NDArray[np.float16]:
    """Write layers of random finite values; return the last megabytes of the last one."""
    header, end = {}, 0
    for name, rows in layers.items():
        size = 2 * rows * LONG_ROW
        header[name] = {
            "dtype": "F16",
            "shape": (rows, LONG_ROW),
            "data_offsets": (end, end + size),
        }
        end += size
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(header_bytes(header))
        for _ in range(0, end, 16 << 20):
            bits = np.frombuffer(random.bytes(16 << 20), np.uint16) & 0xBFFF
            file.write(bits.tobytes())
    return bits.view(np.float16).reshape(-1, LONG_ROW)


@needs_proc
@pytest.mark.parametrize("shapes", SHAPES)
def test_memory_is_bounded(shapes: str, tmp_path: Path) -> None:
    source = write_zeros(tmp_path / "in", SHAPES[shapes])
    assert_memory_is_bounded(source, tmp_path / "out")
    assert_memory_is_bounded(tmp_path / "out", tmp_path / "restored", way="dequantize")


@needs_proc
@pytest.mark.parametrize("way", ["int4", "shards", "convert"])
@pytest.mark.parametrize("shapes", ["one large layer", "many layers"])
def test_memory_is_bounded_for_other_ways(way: str, shapes: str, tmp_path: Path) -> None:
    source = write_zeros(tmp_path / "in", SHAPES[shapes])
    assert_memory_is_bounded(source, tmp_path / "out", way=way)
    if way == "int4":
        assert_memory_is_bounded(tmp_path / "out", tmp_path / "restored", way="dequantize")


@needs_proc
@pytest.mark.parametrize("shapes", ["one large layer", "many layers"])
@pytest.mark.parametrize("format_", [each.name for each in qr.formats()])
def test_memory_is_bounded_for_every_format(format_: str, shapes: str, tmp_path: Path) -> None:
    """From floats, and from what is quantized already.

    From codes and scales there is one plan of how layers lie and one of what becomes of them: with
    more than 70,000 layers of a few bytes they take more than is allowed.
    """
    layers = SHAPES[shapes]
    if shapes == "many layers":
        layers = dict.fromkeys(list(layers)[:50000], ("BF16", (32, 64), 4096))
    source = write_zeros(tmp_path / "in", layers, {"general.architecture": "flux"})
    for name in (format_, "int8_rowwise" if format_ != "int8_rowwise" else "fp8_e4m3"):
        new = tmp_path / f"{name}.{ending_of(source, name)}"
        assert_memory_is_bounded(source, new, formats=(name,))
        source = new


def ending_of(source: Path, format_: str) -> str:
    """Return which kind of file carries a format."""
    try:
        qr.quantize_file(source, "any.safetensors", format_, dry_run=True)
    except qr.UnsupportedFormatError:
        return "gguf"
    return "safetensors"


@needs_proc
@pytest.mark.parametrize("shapes", ["one large layer", "one kept tensor", "many layers"])
def test_memory_is_bounded_for_mapped_files(shapes: str, tmp_path: Path) -> None:
    source = write_zeros(tmp_path / "in", SHAPES[shapes])
    assert_memory_is_bounded(source, tmp_path / "out", io="mmap")
    assert_memory_is_bounded(tmp_path / "out", tmp_path / "back", way="dequantize", io="mmap")


# Headers of nearly the 100 MB that are read, made of one piece again and again, and the rule that
# each breaks.
HEADERS = {
    "one long value": (b'{"__metadata__":{"a":"', b"x", b'"}}', "none"),
    "one long unknown value": (
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":"',
        b"x",
        b'"}}',
        "none",
    ),
    "metadata": (b'{"__metadata__":{', b'"":"",', b'"":""}}', "too_many_keys"),
    "unknown fields": (b'{"a":{"x":{', b'"":0,', b'"":0}}}', "too_many_keys"),
    "unknown lists": (b'{"a":{"x":[', b"[],", b"[]]}}", "missing_field"),
    "tensors": (
        b"{",
        b'"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},',
        b'"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        "duplicate_key",
    ),
    "open brackets": (b'{"a":{"x":', b"[", b"", "too_deep"),
}


@needs_proc
@pytest.mark.parametrize("name", HEADERS)
def test_memory_is_bounded_for_hostile_headers(name: str, tmp_path: Path) -> None:
    start, piece, end, rule = HEADERS[name]
    source = tmp_path / "in"
    text = start + piece * (95_000_000 // len(piece)) + end
    source.write_bytes(len(text).to_bytes(8, "little") + text)
    try:
        assert_memory_is_bounded(source, tmp_path / "out", rule)
    finally:
        source.unlink()
        (tmp_path / "out").unlink(missing_ok=True)


# Headers of GGUF of nearly 100 MB, in what can be counted: a piece again and again.
GGUF_HEADERS = {
    "texts of a list": (raw.text(""), 8),
    "numbers of a list": (b"\x00", 0),
}


@needs_proc
@pytest.mark.parametrize("name", GGUF_HEADERS)
def test_memory_is_bounded_for_hostile_headers_of_gguf(name: str, tmp_path: Path) -> None:
    piece, kind = GGUF_HEADERS[name]
    count = 95_000_000 // len(piece)
    source = tmp_path / "in.gguf"
    source.write_bytes(
        raw.gguf([raw.key("k", raw.LIST, struct.pack("<IQ", kind, count) + piece * count)])
    )
    try:
        # Into safetensors, where nobody looks for such lists.
        assert_memory_is_bounded(source, tmp_path / "out", header=source.stat().st_size)
    finally:
        source.unlink()


# Indexes of nearly 100 MB: one piece for each number.
INDEXES = {
    "one file": '"{:x}":"x"',
    "many files": '"{0:x}":"{0:x}"',
    "the same tensor": '"":"x"',
}


@needs_proc
@pytest.mark.parametrize("name", INDEXES)
def test_memory_is_bounded_for_hostile_indexes(name: str, tmp_path: Path) -> None:
    source = tmp_path / "in.index.json"
    pieces = ",".join(INDEXES[name].format(number) for number in range(5_000_000))
    source.write_text(f'{{"weight_map":{{{pieces}}}}}')
    try:
        assert_memory_is_bounded(source, tmp_path / "out", "too_many_keys")
    finally:
        source.unlink()


@needs_proc
@pytest.mark.parametrize("io", ["read", "mmap"])
@pytest.mark.parametrize("layers", WRITTEN)
def test_memory_is_bounded_for_files_with_values(layers: str, io: str, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    try:
        last_rows = write_values(source, WRITTEN[layers])
        assert_memory_is_bounded(source, out, io=io)
        # What lies behind the last multiple of 2^31 is read and written where it belongs.
        expected = qr.quantize(last_rows, "int8_rowwise")
        name, rows = list(WRITTEN[layers].items())[-1]
        first = rows - len(last_rows)
        with safe_open(out, framework="numpy") as file:
            codes = file.get_slice(name)[first:]
            scales = file.get_slice(f"{name}_scale")[first:]
        np.testing.assert_array_equal(codes, expected.codes)
        np.testing.assert_array_equal(scales, expected.scales)
    finally:
        # pytest keeps folders of the last runs.
        source.unlink(missing_ok=True)
        out.unlink(missing_ok=True)
