# SPDX-License-Identifier: Apache-2.0
"""Checkpoint to quantized checkpoint."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from quarrow import _core
from quarrow.call_log import warn
from quarrow.counts import counted, verb
from quarrow.exceptions import InvalidInputError
from quarrow.file_arguments import (
    Path,
    Progress,
    check_options,
    check_word,
    container_of,
    open_source,
    path_bytes,
)
from quarrow.file_report import FileReport, JobLayers
from quarrow.job_findings import nothing_quantized, quantizing_warnings
from quarrow.layer_rules import LEAVE, LayerRules, Rules, as_format
from quarrow.runtime_rules import check_runtime, file_warnings, nothing_loads, refuse
from quarrow.shard_size import shard_bytes


def quantize_file(
    source: Path,
    destination: Path,
    format: str | _core.Format,
    *,
    rules: Rules | None = None,
    dtype: str | None = None,
    on_error: str = "raise",
    progress: Progress | None = None,
    nonfinite: str = "raise",
    threads: int | None = None,
    io: str = "read",
    max_shard_size: int | str | None = None,
    sync: bool = True,
    measure_error: bool = False,
    dry_run: bool = False,
    runtime: str | None = None,
    **fields: Any,
) -> FileReport:
    """Write a quantized copy of a checkpoint.

    The new file holds what the runtimes of the format read. Tensors that they do not load quantized
    are copied byte for byte, and the report says why; so are norms, embeddings, the layers at the
    edges of a model (input, output, time and conditions) and tensors under 1,024 elements, unless a
    rule names a format for them, and layers that are quantized already, be it in this very format
    or in one that is not known here. Those of other formats that ``dequantize_file`` restores are
    quantized anew, through float32 and with one warning, since the errors of both add up. Metadata
    is kept, but for what it says of tensors that are now others. Tensors lie in the order of the
    source, wider elements first so that each is aligned to its element, what belongs to a layer
    beside it. Memory does not grow with the file or its layers. The file appears when it
    is complete: an error, a signal or a crash leaves what was there before. Several files change
    hands while their index is away; killed in that moment, a job leaves that to the next one that
    writes into the folder, which puts the old files back.

    Parameters
    ----------
    source : path
        A ``.safetensors`` file, the ``.safetensors.index.json`` of several, which says which of
        their tensors count, or a ``.gguf`` file. What a file is its first bytes say.
    destination : path
        The file to write or to replace. Named ``.safetensors.index.json``, or as one of a variant
        ``.safetensors.index.fp16.json``, it is the index of files beside it. Named ``.gguf`` it is
        GGUF, which holds q8_0, q5_1, q5_0, q4_1 and q4_0, and is told its ``general.architecture``
        by the names of the model, or by the metadata of the source.
    format : str or Format
        How to quantize; its fields (``group_size``...) may be given as keywords.
    rules : dict of pattern to format or None, or iterable of such pairs, optional
        The first pattern found in a tensor's name (``re.search``) gives its format; None leaves the
        tensor as it is: ``{"attn": "int8", "norm": None}``. Tensors that no rule finds take
        ``format``; an empty pattern as the last rule speaks for them instead. A rule that decides
        on no tensor is a warning.
    dtype : "float32", "float16" or "bfloat16", optional
        For the float tensors that are not quantized; what belongs to a layer that stays quantized
        keeps its own. Layers that stay become floats where the new file is of another kind, which
        has no place for them.
    on_error : "raise" or "skip"
        What to do when a layer cannot be quantized: stop, or leave it as it is, with its exception
        in the report.
    progress : callable, optional
        Called as ``progress(done_bytes, total_bytes, name)`` on this thread, for each tensor that
        is finished and for the one in progress. An exception in it stops the job.
    nonfinite : "raise" or "saturate"
        As in ``quarrow.quantize``.
    threads : int, optional
        At most so many threads. The result does not depend on it.
    io : "read" or "mmap"
        How to read the source. A mapped file that another process cuts short meanwhile ends this
        process with SIGBUS.
    max_shard_size : int or str, optional
        Bytes, or "5GB". Above it the new checkpoint is several files beside the destination,
        ``NAME-00001-of-00003.safetensors``, and their index, named as diffusers and transformers
        look for them.
    sync : bool
        Wait until the file has reached the disk.
    measure_error : bool
        Report each layer's error.
    dry_run : bool
        Report the plan with all sizes, but write nothing: only the header of the source is read.
    runtime : "comfyui" or "none", optional
        Whose loader decides what is quantized: the format's own unless named, which is ComfyUI for
        int8_rowwise and fp8 with a scale, and nobody for the others. What ComfyUI would misread
        (ControlNets, models in diffusers' names, CLIP, VAEs) stays as it is unless a rule names a
        format for it; a file of which it would load nothing quantized is copied, with a warning, or
        refused when
        ``runtime="comfyui"`` is named. "none" holds nothing back: for a loader of your own.
    **fields
        Of the format.

    Returns
    -------
    FileReport

    Raises
    ------
    UnsupportedFormatError
        The format is unknown, or no file can carry it, or a type of a tensor that stays (blocks
        of GGUF in safetensors).
    CheckpointError
        The source is damaged, something else, or changed while it was read.
    NonFiniteError
        A layer has NaN or Inf.
    InvalidInputError
        The destination is a file of the source, not a file, named as another format, or being
        written by another job; the named runtime would load nothing quantized; another argument
        cannot be used.
    OSError
        The operating system refused: no such file, no permission, no space left.

    Examples
    --------
    >>> import tempfile, numpy as np, quarrow as qr
    >>> from safetensors.numpy import save_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> source, new = f"{folder.name}/model.safetensors", f"{folder.name}/int8.safetensors"
    >>> save_file({"q.weight": np.ones((8, 256), "f2"), "out.weight": np.ones((8, 256))}, source)
    >>> report = qr.quantize_file(source, new, "int8_rowwise", rules={"out": None})
    >>> for layer in report.layers:
    ...     print(layer.name, layer.action, layer.reason)
    out.weight kept left by the rule 'out'
    q.weight quantized None
    >>> folder.cleanup()
    """
    with _core.CallRecord("quantize_file"):
        started = time.perf_counter()
        deciding = LayerRules(rules, as_format(format, fields))
        check_options(progress, sync=sync, measure_error=measure_error, dry_run=dry_run)
        check_word("nonfinite", nonfinite, "raise", "saturate")
        check_word("on_error", on_error, "raise", "skip")
        check_runtime(runtime, deciding.formats[0])
        if dry_run and measure_error:
            msg = "measure_error needs the values, and dry_run reads the header alone; ask for one"
            raise InvalidInputError(msg)
        most_bytes = shard_bytes(max_shard_size)
        source_bytes = path_bytes(source, "source")
        destination_bytes = path_bytes(destination, "destination")

        opened = open_source(source_bytes, io)
        job = _core.FileJob(opened)
        deciding.decide(job.source_size, lambda: map(job.source_name, range(job.source_size)))

        def run_once() -> list[tuple[int, Exception]]:
            choices = bytes(deciding.choices)
            job.plan(
                deciding.formats,
                choices,
                dtype=dtype,
                max_shard_bytes=most_bytes,
                runtime=runtime,
                container=container_of(destination_bytes),
            )
            refuse(job, runtime)
            if dry_run:
                return []
            return job.run(
                destination_bytes,
                saturate=nonfinite == "saturate",
                threads=threads,
                sync=sync,
                measure_error=measure_error,
                skip_faults=on_error == "skip",
                progress=progress,
            )

        skipped = run_skipping(run_once, deciding.choices)
        bytes_in = job.bytes_in
        opened.release()

        warnings = deciding.unmatched()
        warnings += file_warnings(job, deciding.formats[0], runtime)
        warnings += quantizing_warnings(job)
        refusal = nothing_loads(job) or nothing_quantized(job)
        if refusal is not None:
            warnings.append(refusal)
        if skipped:
            left = verb(len(skipped), "was not quantized", "were not quantized")
            warnings.append(f"{counted(len(skipped), 'layer')} {left} because of an error")
        # What the caller may make an error of is no warning yet.
        warn(each for each in warnings if not (dry_run and each is refusal))
        return FileReport(
            source=os.fsdecode(source_bytes),
            destination=os.fsdecode(destination_bytes),
            files=[os.fsdecode(path) for path in job.paths(destination_bytes)],
            format=deciding.formats[0].name,
            bytes_in=bytes_in,
            bytes_out=job.bytes_out,
            seconds=time.perf_counter() - started,
            layers=quantized_layers(job, deciding, skipped),
            warnings=warnings,
            metadata=job.metadata,
            errors={job.source_name(index): error for index, error in skipped.items()},
            dry_run=dry_run,
            runtime=job.runtime_rules[0],
            refusal=refusal,
        )


def run_skipping(
    run_once: Callable[[], list[tuple[int, Exception]]], choices: bytearray
) -> dict[int, Exception]:
    """Run a job again without the tensors that failed, until none does; return those."""
    skipped: dict[int, Exception] = {}
    while failed := run_once():
        for index, error in failed:
            if index in skipped:
                # Left as it is, it fails still: its new dtype cannot hold it.
                raise error
            skipped[index] = error
            choices[index] = LEAVE
    return skipped


def quantized_layers(
    job: _core.FileJob, deciding: LayerRules, skipped: Mapping[int, Exception]
) -> JobLayers:
    """Return the layers of a job, those that rules left or that failed with that as the reason."""

    def reason_of(index: int) -> str | None:
        if index in skipped:
            return f"it cannot be quantized: {skipped[index]}"
        return deciding.reason_to_leave(index)

    return JobLayers(job, [each.name for each in deciding.formats], reason_of)
