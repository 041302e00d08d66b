# SPDX-License-Identifier: Apache-2.0
"""Checkpoint to checkpoint without quantizing: restored, or of another kind or dtype."""

import os
import time
from collections.abc import Callable
from typing import Any

from quarrow import _core
from quarrow.call_log import warn
from quarrow.file_arguments import (
    Path,
    Progress,
    check_options,
    container_of,
    open_source,
    path_bytes,
)
from quarrow.file_report import FileReport, JobLayers
from quarrow.job_findings import converting_warnings, nothing_restored, restoring_warnings
from quarrow.shard_size import shard_bytes


def dequantize_file(
    source: Path,
    destination: Path,
    *,
    dtype: str | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
    io: str = "read",
    max_shard_size: int | str | None = None,
    sync: bool = True,
    dry_run: bool = False,
) -> FileReport:
    """Write a copy of a checkpoint in which quantized layers are float tensors again.

    They get the names, shapes and dtypes that they had, and the values of
    ``QuantizedTensor.dequantize`` (in float64 the float32 ones). Layers of other programs are
    restored too, where they are ComfyUI's int8 or FP8, weights cast to FP8, GGUF's blocks of 32, or
    integers of compressed-tensors, whose configuration may stand in the ``config.json`` beside the
    source; what does not say its dtype
    gets that of its scales, or of the floats beside it. All other tensors and metadata stay; so do
    layers of formats that are not known here, with a warning. As to memory and crashes, see
    ``quantize_file``.

    Parameters
    ----------
    source, destination : path
        As in ``quantize_file``. A new GGUF file holds what is copied, and float32, float16 and
        bfloat16 of what is restored or converted; made of another kind of file it needs a
        ``general.architecture`` in the metadata.
    dtype : "float32", "float16" or "bfloat16", optional
        For all float tensors, restored or not, but those of layers that stay quantized.
    progress, threads, io, max_shard_size, sync, dry_run
        As in ``quantize_file``.

    Returns
    -------
    FileReport

    Raises
    ------
    CheckpointError
        The source is damaged, something else, or changed while it was read.
    UnsupportedFormatError
        The new file has no such type: blocks of GGUF in safetensors, bool or FP8 in GGUF.
    InvalidInputError
        The destination is a file of the source, not a file, named as another format, or being
        written by another job; another argument cannot be used.
    OSError
        The operating system refused: no such file, no permission, no space left.

    Examples
    --------
    >>> import tempfile, numpy as np, quarrow as qr
    >>> from safetensors.numpy import load_file, save_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> names = [f"{folder.name}/{name}.safetensors" for name in ("model", "int8", "restored")]
    >>> save_file({"q.weight": np.ones((8, 256), "f2")}, names[0])
    >>> _ = qr.quantize_file(names[0], names[1], "int8_rowwise")
    >>> qr.dequantize_file(names[1], names[2]).layers[0].action
    'restored'
    >>> load_file(names[2])["q.weight"].dtype
    dtype('float16')
    >>> folder.cleanup()
    """
    with _core.CallRecord("dequantize_file"):
        return _float_file(
            source,
            destination,
            lambda job: (restoring_warnings(job), nothing_restored(job)),
            restore=True,
            dtype=dtype,
            progress=progress,
            threads=threads,
            io=io,
            max_shard_size=max_shard_size,
            sync=sync,
            dry_run=dry_run,
        )


def convert_file(
    source: Path,
    destination: Path,
    *,
    dtype: str | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
    io: str = "read",
    max_shard_size: int | str | None = None,
    sync: bool = True,
    dry_run: bool = False,
) -> FileReport:
    """Write a copy of a checkpoint as another kind of file, in another dtype, or in other shards.

    Nothing is quantized, and layers that are quantized stay so, byte for byte, where the new file
    is of the same kind. A file of another kind has no place for them as they are: those that
    ``dequantize_file`` restores become floats, with a warning, and others are refused. Metadata is
    kept as far as the new kind of file has such values. As to memory and crashes, see
    ``quantize_file``.

    Parameters
    ----------
    source : path
        As in ``quantize_file``.
    destination : path
        As in ``quantize_file``. Float tensors keep their dtype, but bfloat16 norms, biases and
        other vectors, which loaders of GGUF expect in float32. A new GGUF file is told its
        ``general.architecture`` by the names of the model, or by the metadata of the source.
    dtype : "float32", "float16" or "bfloat16", optional
        For all float tensors, but those of layers that stay quantized. A finite value that it
        cannot hold is an error.
    progress, threads, io, max_shard_size, sync, dry_run
        As in ``quantize_file``.

    Returns
    -------
    FileReport

    Raises
    ------
    CheckpointError
        The source is damaged, something else, or changed while it was read.
    UnsupportedFormatError
        The new kind of file has no such type, or no place for a quantized layer.
    InvalidInputError
        A value is beyond the dtype; the destination is a file of the source, not a file, named as
        another format, or being written by another job; another argument cannot be used.
    OSError
        The operating system refused: no such file, no permission, no space left.

    Examples
    --------
    >>> import tempfile, numpy as np, quarrow as qr
    >>> from safetensors.numpy import load_file, save_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> source, new = f"{folder.name}/model.safetensors", f"{folder.name}/half.safetensors"
    >>> save_file({"q.weight": np.ones((8, 256), "f4")}, source)
    >>> qr.convert_file(source, new, dtype="float16").layers[0].action
    'converted'
    >>> load_file(new)["q.weight"].dtype
    dtype('float16')
    >>> folder.cleanup()
    """
    with _core.CallRecord("convert_file"):
        return _float_file(
            source,
            destination,
            lambda job: (converting_warnings(job), None),
            restore=False,
            dtype=dtype,
            progress=progress,
            threads=threads,
            io=io,
            max_shard_size=max_shard_size,
            sync=sync,
            dry_run=dry_run,
        )


def _float_file(
    source: Path,
    destination: Path,
    findings: Callable[[_core.FileJob], tuple[list[str], str | None]],
    *,
    restore: bool,
    dtype: str | None,
    progress: Progress | None,
    threads: int | None,
    io: str,
    max_shard_size: int | str | None,
    sync: Any,
    dry_run: Any,
) -> FileReport:
    """Run a job; `findings` are its warnings, and why nothing would be done."""
    started = time.perf_counter()
    check_options(progress, sync=sync, dry_run=dry_run)
    most_bytes = shard_bytes(max_shard_size)
    source_bytes = path_bytes(source, "source")
    destination_bytes = path_bytes(destination, "destination")
    opened = open_source(source_bytes, io)
    job = _core.FileJob(opened)
    job.plan_floats(
        restore=restore,
        dtype=dtype,
        max_shard_bytes=most_bytes,
        container=container_of(destination_bytes),
    )
    warnings, refusal = findings(job)
    if refusal is not None:
        warnings.append(refusal)
    if not dry_run:
        job.run(
            destination_bytes,
            saturate=False,
            threads=threads,
            sync=sync,
            measure_error=False,
            skip_faults=False,
            progress=progress,
        )
    bytes_in = job.bytes_in
    opened.release()
    # What the caller may make an error of is no warning yet.
    warn(each for each in warnings if not (dry_run and each is refusal))
    return FileReport(
        source=os.fsdecode(source_bytes),
        destination=os.fsdecode(destination_bytes),
        files=[os.fsdecode(path) for path in job.paths(destination_bytes)],
        format=None,
        bytes_in=bytes_in,
        bytes_out=job.bytes_out,
        seconds=time.perf_counter() - started,
        layers=JobLayers(job, [], lambda _: None),
        warnings=warnings,
        metadata=job.metadata,
        dry_run=dry_run,
        refusal=refusal,
    )
