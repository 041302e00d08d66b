# SPDX-License-Identifier: Apache-2.0
"""From file to file.

Every job reads a safetensors file and writes a file that holds the result; both stay in the page
cache, and only 'synced' waits for the disk. 'numpy', 'batch', 'arrow' and 'legacy' make int8 with
one scale for each matrix, the same bytes: loaded by safetensors, written by it (by pyarrow from
Arrow data); 'legacy' takes one layer at a time, whose lists are freed before the next. 'state dict'
and 'file' make int8_rowwise in ComfyUI's layout, as the other libraries do. 'plain' is a program of
two threads that reads the input and writes as many bytes as the int8_rowwise file has (sendfile and
pread), and computes nothing. The binding's share is what quarrow's calls spend outside the core,
from stamps of these very calls. A file of 20 KB shows what a job costs besides its bytes.
"""

import functools
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks import file_peers
from benchmarks.file_peers import FileWay
from benchmarks.fixtures import Array, column, is_installed, pyarrow, random_layers
from benchmarks.harness.case import Case, Job, Role
from benchmarks.jobs import one_batch, one_list_at_a_time, single_calls, stats_of
from benchmarks.models import CONTROLNET, LORAS, folder, layers_of, source_of
from benchmarks.plain_file import copy_plainly
from benchmarks.verification import check_layers, require

Tensors = dict[str, Array]
INT8: dict[str, Any] = {"format_": "int8", "group_size": "tensor", "threads": 2}
ROWWISE = "int8_rowwise"


@functools.cache
def _small_file() -> Path:
    path = folder() / "small.safetensors"
    layers = random_layers([(32, 80)] * 4)
    _files().save_file({name: w.astype("f2") for name, w in layers.items()}, path)
    return path


MODELS = {
    "lora": LORAS["lora_sd15_r16"],
    "lora_sdxl": LORAS["lora_sdxl_r16"],
    "lora_flux": LORAS["lora_flux_r16"],
    "controlnet": CONTROLNET,
}


def _files() -> Any:
    return importlib.import_module("safetensors.numpy")


def _load(source: Path) -> tuple[Tensors, Tensors]:
    tensors: Tensors = _files().load_file(source)
    layers = layers_of(tensors)
    return layers, {name: w for name, w in tensors.items() if name not in layers}


def _entries(layers: Any) -> Tensors:
    entries: Tensors = {}
    for name, q in layers.items():
        entries |= {name: q.codes, f"{name}.scale": q.scales, f"{name}.zero_point": q.zero_points}
    return entries


def _int8(source: Path, out: Path, way: Callable[..., Any]) -> list[Any]:
    layers, rest = _load(source)
    made = way(layers, **INT8)
    _files().save_file(rest | _entries(made), out)
    return stats_of(made)


def _arrow(source: Path, out: Path) -> list[Any]:
    pa = pyarrow()
    layers, _ = _load(source)
    result: Any = qr.quantize_arrow(column(layers), "int8", group_size="tensor", threads=2)
    batch = pa.record_batch(result)
    with pa.OSFile(str(out), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    return [result.stats]


def _legacy(source: Path, out: Path) -> None:
    layers, rest = _load(source)

    def keep(name: str, layer: Any) -> None:
        rest[name] = np.array(layer["codes"], np.uint8).reshape(layer["shape"])
        rest[f"{name}.scale"] = np.array([layer["scales"]], np.float32)
        rest[f"{name}.zero_point"] = np.array([layer["zero_points"]], np.uint8)

    one_list_at_a_time(layers, keep)
    _files().save_file(rest, out)


def _state_dict(source: Path, out: Path) -> None:
    result = qr.quantize_state_dict(_files().load_file(source), ROWWISE, runtime="none", threads=2)
    _files().save_file(dict(result), out, metadata=result.metadata)


def _file(source: Path, out: Path, **how: Any) -> None:
    qr.quantize_file(source, out, ROWWISE, runtime="none", **{"sync": False, "threads": 2, **how})


def _plain(source: Path, out: Path, **how: Any) -> None:
    copy_plainly(source, out, written=_result_bytes(source), **{"sync": False, **how})


@functools.cache
def _result_bytes(source: Path) -> int:
    return qr.quantize_file(
        source, folder() / "no", ROWWISE, runtime="none", dry_run=True
    ).bytes_out


def _rows(out: Path) -> Tensors:
    """Return the entries of an Arrow file under the names that they have in a safetensors file."""
    pa = pyarrow()
    entries: Tensors = {}
    with pa.OSFile(str(out), "rb") as file:
        for row in pa.ipc.open_file(file).read_all().to_pylist():
            name = row["layer_name"]
            entries[name] = np.frombuffer(row["codes"], np.uint8)
            entries[f"{name}.scale"] = np.array(row["scales"], np.float32)
            entries[f"{name}.zero_point"] = np.array(row["zero_points"], np.uint8)
    return entries


def _check_entries(source: Path, out: Path, *, arrow: bool = False) -> None:
    """Require the tensors that calls for each layer give, and of these the right ones."""
    layers, rest = _load(source)
    written = _rows(out) if arrow else _files().load_file(out)
    made = single_calls(layers, **INT8)
    check_layers(made, layers)
    expected = _entries(made) | ({} if arrow else rest)
    require(written.keys() == expected.keys(), "other tensors were written")
    for name, array in expected.items():
        require(np.array_equal(written[name].ravel(), array.ravel()), f"{name} differs")


def check_restored(source: Path, out: Path) -> None:
    """Require that the file gives back its input within half a step, by row."""
    quantized = 0
    with qr.open(source) as originals, qr.open(out) as file:
        for name, value in file.items():
            if isinstance(value, qr.QuantizedTensor):
                quantized += 1
                original: Any = originals[name]
                error = np.abs(value.dequantize() - original.numpy().astype(np.float32))
                scales = value.scales.reshape(-1, 1)
                require(np.all(error <= 0.51 * scales), f"{name} is too far from its input")
    require(quantized, "nothing was quantized")


def _check_size(source: Path, out: Path) -> None:
    """Require a file of about half the size: what is in it is the peer's affair."""
    share = out.stat().st_size / source.stat().st_size
    require(0.4 < share < 0.75, f"the file has {share:.2f} of the bytes of its source")


def _check_plain(source: Path, out: Path) -> None:
    require(out.stat().st_size == _result_bytes(source), "another number of bytes was written")


@dataclass(frozen=True)
class Way:
    """A way from a file to a file; `of` are the sources that it is measured with."""

    name: str
    words: str
    run: Callable[..., Any]
    check: FileWay
    of: tuple[str, ...] = ("lora", "controlnet")
    job: str = ROWWISE
    role: Role = "ours"
    package: str = "quarrow"
    seconds_per_gb: float = 1.0
    load: Callable[[], object] | None = None
    needs: str = "numpy"


LISTED = ("lora", "controlnet")
ALL = ("small", "lora_sdxl", "lora_flux", *LISTED)
SYNCED = ("small", "controlnet")
# fmt: off
WAYS = (
    Way("plain", "read, and as many bytes written", _plain, _check_plain, ALL, "", "copy", ""),
    Way("plain_synced", "read, and as many bytes written, synced", partial(_plain, sync=True),
        _check_plain, SYNCED, "", "copy", "", 2.0),
    Way("legacy", "a list call for each layer", _legacy, _check_entries, job="int8",
        role="legacy", seconds_per_gb=12.0),
    Way("numpy", "numpy", partial(_int8, way=single_calls), _check_entries, job="int8"),
    Way("batch", "a batch", partial(_int8, way=one_batch), _check_entries, job="int8"),
    Way("arrow", "Arrow", _arrow, partial(_check_entries, arrow=True), job="int8", needs="pyarrow"),
    Way("state_dict", "a state dict", _state_dict, check_restored),
    Way("file", "quantize_file, not synced", _file, check_restored, ALL),
    Way("file_synced", "quantize_file, synced", partial(_file, sync=True), check_restored, SYNCED,
        f"{ROWWISE}, synced", seconds_per_gb=2.0),
    Way("file_mapped", "quantize_file, mapped input, not synced", partial(_file, io="mmap"),
        check_restored, ("controlnet",)),
    *(Way(peer.id, peer.title, peer.run, _check_size, ("controlnet",), ROWWISE, "peer",
          peer.package, peer.seconds_per_gb, peer.load)
      for peer in file_peers.PEERS),
)
# fmt: on


def _job(source: str, way: Way) -> Job:
    if way.load:
        way.load()
    given = source_of(MODELS[source]) if source in MODELS else _small_file()
    out = folder() / f"{source}_{way.name}.out"
    how = {} if source in MODELS else {"threads": 1}

    def verify(result: object) -> None:
        way.check(given, out)

    return Job(lambda: way.run(given, out, **how), verify, lambda result: result or [])


def _cases_of(source: str) -> Iterator[Case]:
    words, bytes_, absent = "a file of 20 KB", 20_480, file_peers.missing()
    if source in MODELS:
        words, bytes_ = MODELS[source].words, MODELS[source].bytes
    for way in WAYS:
        if source not in way.of or way.package in absent or not is_installed(way.needs):
            continue
        listed = source in LISTED and way.role not in {"copy", "legacy"}
        synced = "_synced" * way.name.endswith("_synced")
        yield Case(
            id=f"{source}_{way.name}",
            title=f"{words}: {way.words}",
            prepare=partial(_job, source, way),
            role=way.role,
            package=way.package,
            bytes=bytes_,
            threads=1 if way.role == "legacy" or source == "small" else 2,
            copy="" if way.role == "copy" else f"{source}_plain" + synced,
            legacy=f"{source}_legacy" if listed else "",
            job=f"{way.job}, {source}" if way.job else "",
            seconds=way.seconds_per_gb * bytes_ / 1e9,
            alone=way.role == "legacy" and source == "controlnet",
        )


def cases() -> Iterator[Case]:
    for source in ("small", *MODELS):
        yield from _cases_of(source)


def missing() -> dict[str, str]:
    absent = {} if is_installed("pyarrow") else {"pyarrow": "not installed"}
    return file_peers.missing() | absent
