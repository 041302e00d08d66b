# SPDX-License-Identifier: Apache-2.0
"""Jobs from file to file, and what is read of files."""

from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr
from safetensors.numpy import save_file

from tests.faults.job import Job, JobKind, read_files
from tests.faults.memory_jobs import WIDE, some_layers, weights

OLD = {"out.safetensors": b"the old file"}
SHARDS = "2KB"
# A file system as it was before O_TMPFILE, one without locks, one that claims no space.
BARE = {"tmpfile": "EOPNOTSUPP", "fallocate": "EOPNOTSUPP", "sync_file_range": "ENOSYS"}
LOCKLESS = {"flock": "ENOLCK"}
COPYLESS = {"copy_file_range": "EXDEV"}


def reported(report: qr.FileReport) -> object:
    """Return what a report says, without the time that it took."""
    layers = [(each.name, each.action, each.reason, each.error) for each in report.layers]
    return [layers, report.bytes_in, report.bytes_out, report.warnings, report.metadata]


def plain(folder: Path, *, wide: bool = False) -> Path:
    """Write a checkpoint of some layers: 20 KB, or enough for a second thread."""
    layers = {**some_layers(), "d.weight": weights(32, 128, seed=5), "ids": np.arange(9)}
    if wide:
        layers["wide.weight"] = weights(*WIDE)
    path = folder / "in" / "plain.safetensors"
    save_file(layers, path, metadata={"title": "some layers"})
    return path


def sharded(folder: Path, format_: str | None = None) -> Path:
    """Write the same in several files."""
    path = folder / "in" / "sharded.safetensors"
    source = plain(folder)
    if format_ is None:
        qr.dequantize_file(source, path, max_shard_size=SHARDS)
    else:
        qr.quantize_file(source, path, format_, max_shard_size=SHARDS)
    return path.with_name(f"{path.name}.index.json")


def quantized(folder: Path, format_: str) -> Path:
    path = folder / "in" / f"{format_}.safetensors"
    qr.quantize_file(plain(folder), path, format_)
    return path


def old_shards(folder: Path, source: Path, format_: str) -> dict[str, bytes]:
    """Return the files of an earlier job with the same number of shards."""
    earlier = folder / "earlier"
    earlier.mkdir()
    qr.quantize_file(source, earlier / "out.safetensors", format_, max_shard_size=SHARDS)
    return read_files(earlier)


def quantize_job(source: Path, folder: Path, format_: str = "int4", **options: Any) -> Job:
    out = folder / "out" / "out.safetensors"
    return Job(lambda: reported(qr.quantize_file(source, out, format_, **options)), OLD)


def dequantize_job(source: Path, folder: Path, **options: Any) -> Job:
    out = folder / "out" / "out.safetensors"
    return Job(lambda: reported(qr.dequantize_file(source, out, **options)), OLD)


def file(folder: Path) -> Job:
    return quantize_job(plain(folder), folder, measure_error=True, progress=lambda *_: None)


def file_new(folder: Path) -> Job:
    job = quantize_job(plain(folder), folder, "int8_rowwise", dtype="float16")
    return Job(job.run)


def file_mmap(folder: Path) -> Job:
    return quantize_job(plain(folder), folder, "int8_rowwise", io="mmap", sync=False)


def file_wide(folder: Path) -> Job:
    return quantize_job(plain(folder, wide=True), folder, threads=2)


def file_sharded(folder: Path) -> Job:
    source = sharded(folder)
    job = quantize_job(source, folder, max_shard_size=SHARDS)
    return Job(job.run, old_shards(folder, source, "int8"))


def file_skip(folder: Path) -> Job:
    """A layer that fails, and a second run without it."""
    source = folder / "in" / "damaged.safetensors"
    damaged = weights(32, 128, seed=5)
    damaged[5, 5] = np.inf
    save_file({**some_layers(), "d.weight": damaged}, source)
    return quantize_job(source, folder, on_error="skip")


def save(folder: Path) -> Job:
    layers = {"a.weight": weights(40, 128), "b.weight": weights(5, 64, seed=2)}
    wide = qr.quantize(weights(40, 70), "int2", group_size="row", packed=False)
    result = {**qr.quantize_batch(layers, "int8", group_size=64), "c": wide, "ids": np.arange(9)}
    out = folder / "out" / "out.safetensors"
    return Job(lambda: reported(qr.save(result, out)), OLD)


def dequantize_file(folder: Path) -> Job:
    return dequantize_job(quantized(folder, "int4"), folder)


def dequantize_comfy(folder: Path) -> Job:
    return dequantize_job(quantized(folder, "int8_rowwise"), folder, io="mmap", dtype="float16")


def dequantize_sharded(folder: Path) -> Job:
    source = sharded(folder, "int4")
    job = dequantize_job(source, folder, max_shard_size="8KB")
    return Job(job.run)


def requantize(folder: Path) -> Job:
    """From codes in words and zero points down the columns."""
    source = quantized(folder, "int4")
    return quantize_job(source, folder, "int8_rowwise", measure_error=True)


def convert(folder: Path) -> Job:
    source, out = quantized(folder, "int8_rowwise"), folder / "out" / "out.safetensors"
    return Job(lambda: reported(qr.convert_file(source, out, dtype="float16")), OLD)


def gguf(folder: Path) -> Job:
    """Read a GGUF file, and write another one."""
    source, out = folder / "in" / "model.gguf", folder / "out" / "out.gguf"
    tensors = {**some_layers(), "ids": np.arange(9)}
    qr.save(tensors, source, metadata={"general.architecture": "flux", "title": "some layers"})

    def run() -> object:
        report = qr.dequantize_file(source, out, dtype="float16")
        return [read_all(source, "read"), reported(report)]

    return Job(run, {"out.gguf": b"the old file"})


def read_all(path: Path, io: str) -> object:
    with qr.open(path, io=io) as checkpoint:
        tensors: list[Any] = []
        for name, tensor in checkpoint.items():
            array = tensor.dequantize() if isinstance(tensor, qr.QuantizedTensor) else tensor
            tensors.append((name, tuple(checkpoint.info(name))[:-1], np.array(array)))
        compared = [repr(checkpoint.compare(name, checkpoint)) for name in checkpoint]
        return [tensors, compared, checkpoint.metadata]


def open_plain(folder: Path) -> Job:
    source = plain(folder)

    def run() -> object:
        return [read_all(source, "read"), qr.quantize(qr.open(source)["d.weight"], "int4")]

    return Job(run)


def open_quantized(folder: Path) -> Job:
    paths = [quantized(folder, "int4"), quantized(folder, "int8_rowwise")]
    return Job(lambda: [read_all(path, "mmap") for path in paths])


def open_sharded(folder: Path) -> Job:
    source = sharded(folder, "int4")
    return Job(lambda: read_all(source, "read"))


KINDS = {
    "file": JobKind(file),
    "file_new": JobKind(file_new),
    "file_mmap": JobKind(file_mmap),
    "file_wide": JobKind(file_wide),
    "file_cold": JobKind(
        file_wide, ("new", "malloc", "mmap", "pthread_create"), cold=True, slow=True
    ),
    "file_sharded": JobKind(file_sharded),
    "file_skip": JobKind(file_skip),
    "file_bare": JobKind(file_new, denied=BARE),
    "file_bare_sharded": JobKind(file_sharded, denied=BARE),
    "file_lockless": JobKind(file, denied=LOCKLESS),
    "file_bare_lockless": JobKind(file_sharded, denied={**BARE, **LOCKLESS}),
    "file_copyless": JobKind(file, denied=COPYLESS),
    "save": JobKind(save),
    "dequantize_file": JobKind(dequantize_file),
    "dequantize_comfy": JobKind(dequantize_comfy),
    "dequantize_sharded": JobKind(dequantize_sharded),
    "requantize": JobKind(requantize),
    "convert": JobKind(convert),
    "gguf": JobKind(gguf),
    "open": JobKind(open_plain),
    "open_quantized": JobKind(open_quantized),
    "open_sharded": JobKind(open_sharded),
}
