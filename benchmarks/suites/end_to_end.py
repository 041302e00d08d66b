# SPDX-License-Identifier: Apache-2.0
"""An adapter and a ControlNet arrive as float16 files and leave quantized, by every way."""

import atexit
import functools
import importlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr
from numpy.typing import NDArray

from benchmarks import file_peers
from benchmarks.fixtures import copies
from benchmarks.harness.case import Case, Job, Suite
from benchmarks.verification import require

ABOUT = (
    "Every job reads a safetensors file of float16 and writes a file that holds the result;"
    " both stay in the page cache, nothing waits for the disk. 'legacy', 'numpy', 'batch' and"
    " 'arrow' make int8 with one scale for each 2-D weight, the same bytes: loaded by"
    " safetensors, written by it (by pyarrow from Arrow data). 'state dict' and 'file' make"
    " int8_rowwise in ComfyUI's layout, as do the peers. The binding share is what quarrow's"
    " calls spend outside the core, from stamps of these very calls."
)
SUPPORT = Path(__file__).parents[2] / "tests" / "support"
PYARROW = importlib.util.find_spec("pyarrow") is not None
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Model:
    """A file of real geometry with seeded values."""

    name: str
    words: str
    manifest: str
    selection: tuple[str, ...]
    megabytes: int  # about
    legacy_seconds: float  # about


MODELS = (
    Model("lora", "LoRA of SD 1.5, rank 16", "sd15_lora_kohya_r16", (), 19, 1.2),
    Model(
        "controlnet",
        "FLUX ControlNet, its first 200 MB",
        "flux_controlnet_small",
        ("--max-bytes", "200M", "--dtype", "F16"),
        200,
        12.0,
    ),
)


@functools.cache
def folder() -> Path:
    """Return a folder that is gone when the process is."""
    made = Path(tempfile.mkdtemp(prefix="quarrow-end-to-end-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def source_of(model: Model) -> Path:
    """Write the file of a model."""
    path = folder() / f"{model.name}.safetensors"
    script, manifest = SUPPORT / "make_checkpoint.py", SUPPORT / "manifests"
    command = [sys.executable, str(script), str(manifest / f"{model.manifest}.json"), str(path)]
    subprocess.run([*command, *model.selection], check=True, capture_output=True)
    return path


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


def _numpy(source: Path, out: Path) -> list[Any]:
    weights, rest = _load(source)
    stats = []
    for name, w in weights.items():
        q = qr.quantize(w, "int8", group_size="tensor", name=name)
        stats.append(q.stats)
        rest |= _entries(name, q)
    _safetensors().save_file(rest, out)
    return stats


def _batch(source: Path, out: Path) -> list[Any]:
    weights, rest = _load(source)
    result = qr.quantize_batch(weights, "int8", group_size="tensor")
    for name, q in result.items():
        rest |= _entries(name, q)
    _safetensors().save_file(rest, out)
    return [result.stats]


def _column(weights: Tensors) -> Any:
    """Return layers as rows, over the memory of the file that was read."""
    pa = importlib.import_module("pyarrow")
    chunks = [pa.array(w.ravel()) for w in weights.values()]
    offsets = np.cumsum([0, *(w.size for w in weights.values())])
    values = pa.LargeListArray.from_arrays(pa.array(offsets), pa.concat_arrays(chunks))
    shapes = pa.array([list(w.shape) for w in weights.values()], pa.list_(pa.int64()))
    return pa.record_batch({"layer_name": list(weights), "weights": values, "shape": shapes})


def _arrow(source: Path, out: Path) -> list[Any]:
    pa = importlib.import_module("pyarrow")
    weights, _ = _load(source)
    result: Any = qr.quantize_arrow(_column(weights), "int8", group_size="tensor")
    batch = pa.record_batch(result)
    with pa.OSFile(str(out), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    return [result.stats]


def _state_dict(source: Path, out: Path) -> list[Any]:
    tensors: Tensors = _safetensors().load_file(source)
    result = qr.quantize_state_dict(tensors, "int8_rowwise")
    _safetensors().save_file(dict(result), out, metadata=result.metadata)
    return []


def _file(source: Path, out: Path) -> list[Any]:
    qr.quantize_file(source, out, "int8_rowwise", sync=False)
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


def _arrow_as_numpy(source: Path, out: Path) -> None:
    expected = folder() / "expected.safetensors"
    _numpy(source, expected)
    tensors = _safetensors().load_file(expected)
    pa = importlib.import_module("pyarrow")
    with pa.OSFile(str(out), "rb") as file:
        for row in pa.ipc.open_file(file).read_all().to_pylist():
            same = row["codes"] == tensors[row["layer_name"]].tobytes()
            require(same, f"{row['layer_name']} differs")


def _restorable(source: Path, out: Path) -> None:
    """Require that the file gives back its input within half a step, by row."""
    originals = _safetensors().load_file(source)
    quantized = 0
    with qr.open(out) as file:
        for name, value in file.items():
            if isinstance(value, qr.QuantizedTensor):
                quantized += 1
                error = np.abs(value.dequantize() - originals[name].astype(np.float32))
                scales = value.scales.reshape(-1, 1)
                require(np.all(error <= 0.51 * scales), f"{name} is too far from its input")
    require(quantized, "nothing was quantized")


def _peer_wrote(source: Path, out: Path) -> None:
    """Require a file of half the size: what is in it is the peer's affair."""
    share = out.stat().st_size / source.stat().st_size
    require(0.4 < share < 0.75, f"the file has {share:.2f} of the bytes of its source")


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
        ("numpy", _numpy, _same_as_numpy),
        ("batch", _batch, _same_as_numpy),
        *([("arrow", _arrow, _arrow_as_numpy)] if PYARROW else []),
        ("state_dict", _state_dict, _restorable),
        ("file", _file, _restorable),
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
        role="control",
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
    for peer in file_peers.installed():
        yield case(
            id=f"{model.name}_{peer.id}",
            title=f"{model.words}: {peer.title}",
            prepare=partial(_job, model, peer.run, _peer_wrote),
            role="peer",
            package=peer.package,
            legacy="",
            copy=f"{model.name}_copyfile",
            job=by_row,
            seconds=0.01 * model.megabytes,
        )


def suite() -> Suite:
    """Return the suite."""
    cases = [*copies((4, 40)), *(case for model in MODELS for case in _cases_of(model))]
    missing = file_peers.missing()
    if not PYARROW:
        missing["pyarrow"] = "not installed"
    return Suite("end_to_end", "From file to file", ABOUT, tuple(cases), missing)
