# SPDX-License-Identifier: Apache-2.0
"""An adapter and a ControlNet arrive as float16 files and leave quantized, by every way."""

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr
from numpy.typing import NDArray

from benchmarks import file_peers, small_files, whole_files
from benchmarks.fixtures import copies
from benchmarks.harness.case import Case, Job, Suite
from benchmarks.models import CONTROLNET, LORA, Model, folder, source_of
from benchmarks.verification import check_quantized, require

ABOUT = (
    "Every job reads a safetensors file and writes a file that holds the result; both stay in"
    " the page cache. 'legacy', 'numpy', 'batch' and 'arrow' make int8 with one scale for each"
    " 2-D weight of a float16 file, the same bytes: loaded by safetensors, written by it (by"
    " pyarrow from Arrow data). 'state dict' and 'file' make int8_rowwise in ComfyUI's layout."
    " The binding share is what quarrow's calls spend outside the core, from stamps of these"
    " very calls. The FLUX ControlNet of 1.1 GB (bfloat16) goes from file to file alone, beside"
    " its peers and a plain program that reads the input and writes as many bytes as the output"
    " has; only 'synced' waits for the disk. A file of 20 KB shows what a job costs besides its"
    " bytes."
)
PYARROW = importlib.util.find_spec("pyarrow") is not None
Tensors = dict[str, NDArray[Any]]


def _safetensors() -> Any:
    return importlib.import_module("safetensors.numpy")


def _load(source: Path) -> tuple[Tensors, Tensors]:
    """Return what is quantized, and the rest."""
    tensors: Tensors = _safetensors().load_file(source)
    weights = {name: w for name, w in tensors.items() if w.ndim == 2}
    return weights, {name: w for name, w in tensors.items() if w.ndim != 2}


def _entries(name: str, q: Any) -> Tensors:
    """Return what a file holds of a layer."""
    return {name: q.codes, f"{name}.scale": q.scales, f"{name}.zero_point": q.zero_points}


def _legacy(source: Path, out: Path) -> list[Any]:
    weights, rest = _load(source)
    result = qr.legacy.quantize({name: w.tolist() for name, w in weights.items()}, bit_width=8)
    for name, layer in result.items():
        rest[name] = np.array(layer["codes"], np.uint8).reshape(layer["shape"])
        rest[f"{name}.scale"] = np.array([layer["scales"]], np.float32)
        rest[f"{name}.zero_point"] = np.array([layer["zero_points"]], np.uint8)
    _safetensors().save_file(rest, out)
    return []


def _quantize(name: str, w: NDArray[Any]) -> qr.QuantizedTensor:
    return qr.quantize(w, "int8", group_size="tensor", name=name, threads=2)


def _numpy(source: Path, out: Path) -> list[Any]:
    weights, rest = _load(source)
    stats = []
    for name, w in weights.items():
        q = _quantize(name, w)
        stats.append(q.stats)
        rest |= _entries(name, q)
    _safetensors().save_file(rest, out)
    return stats


def _batch(source: Path, out: Path) -> list[Any]:
    weights, rest = _load(source)
    result = qr.quantize_batch(weights, "int8", group_size="tensor", threads=2)
    for name, q in result.items():
        rest |= _entries(name, q)
    _safetensors().save_file(rest, out)
    return [result.stats]


def _column(weights: Tensors) -> Any:
    """Return layers as rows; pyarrow puts their weights one behind another first."""
    pa = importlib.import_module("pyarrow")
    chunks = [pa.array(w.ravel()) for w in weights.values()]
    offsets = np.cumsum([0, *(w.size for w in weights.values())])
    values = pa.LargeListArray.from_arrays(pa.array(offsets), pa.concat_arrays(chunks))
    shapes = pa.array([list(w.shape) for w in weights.values()], pa.list_(pa.int64()))
    return pa.record_batch({"layer_name": list(weights), "weights": values, "shape": shapes})


def _arrow(source: Path, out: Path) -> list[Any]:
    pa = importlib.import_module("pyarrow")
    weights, _ = _load(source)
    result: Any = qr.quantize_arrow(_column(weights), "int8", group_size="tensor", threads=2)
    batch = pa.record_batch(result)
    with pa.OSFile(str(out), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    return [result.stats]


def _state_dict(source: Path, out: Path) -> list[Any]:
    tensors: Tensors = _safetensors().load_file(source)
    result = qr.quantize_state_dict(tensors, "int8_rowwise", runtime="none", threads=2)
    _safetensors().save_file(dict(result), out, metadata=result.metadata)
    return []


def _file(source: Path, out: Path) -> list[Any]:
    qr.quantize_file(source, out, "int8_rowwise", runtime="none", sync=False, threads=2)
    return []


def _copy_file(source: Path, out: Path) -> list[Any]:
    shutil.copyfile(source, out)
    return []


def _same_as_numpy(source: Path, out: Path) -> None:
    expected = folder() / "expected.safetensors"
    _numpy(source, expected)
    _same_tensors(expected, out)


def _same_tensors(expected: Path, out: Path) -> None:
    load = _safetensors().load_file
    wanted, got = load(expected), load(out)
    require(wanted.keys() == got.keys(), "other tensors were written")
    for name, w in wanted.items():
        require(np.array_equal(w.ravel(), got[name].ravel()), f"{name} differs")


def _as_the_reference(source: Path, out: Path) -> None:
    """Compare what was written with the slow reference, layer by layer."""
    weights, rest = _load(source)
    written = _safetensors().load_file(out)
    layers = {name: _quantize(name, w) for name, w in weights.items()}
    names = set(rest).union(*(_entries(name, q) for name, q in layers.items()))
    require(written.keys() == names, "other tensors were written")
    for name, q in layers.items():
        check_quantized(q, weights[name])
        for entry, array in _entries(name, q).items():
            require(np.array_equal(written[entry], array), f"{entry} differs")


def _arrow_as_numpy(source: Path, out: Path) -> None:
    expected = folder() / "expected.safetensors"
    _numpy(source, expected)
    tensors = _safetensors().load_file(expected)
    pa = importlib.import_module("pyarrow")
    with pa.OSFile(str(out), "rb") as file:
        rows = pa.ipc.open_file(file).read_all().to_pylist()
    require(len(rows) == len(_load(source)[0]), f"{len(rows)} layers were written")
    for row in rows:
        name = row["layer_name"]
        require(row["codes"] == tensors[name].tobytes(), f"{name} differs")
        for key, entry in (("scales", "scale"), ("zero_points", "zero_point")):
            same = row[key] == tensors[f"{name}.{entry}"].ravel().tolist()
            require(same, f"{key} of {name} differ")


def _same_file(source: Path, out: Path) -> None:
    require(source.read_bytes() == out.read_bytes(), "the copy differs")


def _job(
    model: Model,
    way: Callable[[Path, Path], list[Any] | None],
    check: Callable[[Path, Path], None],
) -> Job:
    source, out = source_of(model), folder() / f"{way.__name__}.out"

    def call() -> object:
        return way(source, out)

    def verify(result: object) -> None:
        del result
        check(source, out)

    return Job(call, verify, lambda result: result or [])


def _cases_of(model: Model) -> Iterator[Case]:
    case = partial(
        Case, bytes=model.megabytes * 1_000_000, threads=2, legacy=f"{model.name}_legacy"
    )
    ways: list[tuple[str, Callable[[Path, Path], list[Any]], Callable[[Path, Path], None]]] = [
        ("numpy", _numpy, _as_the_reference),
        ("batch", _batch, _same_as_numpy),
        *([("arrow", _arrow, _arrow_as_numpy)] if PYARROW else []),
        ("state_dict", _state_dict, whole_files.check_restored),
        ("file", _file, whole_files.check_restored),
    ]
    by_row = f"int8_rowwise file of the {model.words}"
    for name, way, check in ways:
        yield case(
            id=f"{model.name}_{name}",
            title=f"{model.words}: {name.replace('_', ' ')}",
            prepare=partial(_job, model, way, check),
            copy=f"{model.name}_copyfile",
            job=by_row if name in {"state_dict", "file"} else f"int8 of the {model.words}",
        )
    yield case(
        id=f"{model.name}_copyfile",
        title=f"{model.words}: a copy of the file",
        prepare=partial(_job, model, _copy_file, _same_file),
        role="copy",
        package="",
        legacy="",
    )
    yield case(
        id=f"{model.name}_legacy",
        title=f"{model.words}: legacy lists",
        prepare=partial(_job, model, _legacy, _same_as_numpy),
        role="legacy",
        seconds=model.legacy_seconds,
        legacy="",
        copy=f"{model.name}_copyfile",
        job=f"int8 of the {model.words}",
    )


def suite() -> Suite:
    """Return the suite."""
    cases = [
        *copies((4, 40)),
        *small_files.cases(),
        *_cases_of(LORA),
        *_cases_of(CONTROLNET),
        *whole_files.cases(),
    ]
    missing = file_peers.missing()
    if not PYARROW:
        missing["pyarrow"] = "not installed"
    return Suite("end_to_end", "From file to file", ABOUT, tuple(cases), missing)
