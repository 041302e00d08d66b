# SPDX-License-Identifier: Apache-2.0
"""Quantized tensors that a program holds, written as a checkpoint."""

import os
import time
from collections.abc import Mapping
from typing import Any

from quarrow import _core
from quarrow.call_log import warn
from quarrow.counts import counted
from quarrow.exceptions import CheckpointError, InvalidInputError, UnsupportedFormatError
from quarrow.file_arguments import Path, check_options, container_of, is_text, path_bytes
from quarrow.file_report import FileReport, JobLayers
from quarrow.layer_rules import LEAVE
from quarrow.runtime_rules import adapter_warnings
from quarrow.safe_repr import safe_repr
from quarrow.state_dict import file_metadata
from quarrow.state_entries import StoredEntry, stored_entry
from quarrow.stored_dtypes import STORED_DTYPES

_WEIGHT = ".weight"


def save(
    result: Any,
    path: Path,
    container: str | None = None,
    *,
    metadata: Mapping[str, str] | None = None,
    sync: bool = True,
) -> FileReport:
    """Write quantized tensors as a checkpoint, in the layouts that their runtimes read.

    It is the file that ``quantize_file`` would write of the same tensors; ``quarrow.open`` gives
    them back: the very codes and scales (codes of fewer than 8 bits that had a byte each are packed
    there). It appears when it is complete, as that of ``quantize_file`` does.

    Parameters
    ----------
    result : BatchResult, QuantizedTensor or mapping
        What to write: the layers of a batch; a tensor with a name; a mapping of names to quantized
        tensors and to arrays, which are written as they are; a ``StateDict``. Layers of a batch
        that failed are not in the file. In the file a quantized layer "to_q" is "to_q.weight",
        as every runtime calls it; so do name those that ``quarrow.open`` is to find.
    path : path
        The file to write or to replace.
    container : "safetensors" or "gguf", optional
        Its kind; without it, the ending of the path says it, and is of safetensors where it is
        neither's. GGUF takes arrays and its own formats (q8_0...), and metadata with a
        ``general.architecture``.
    metadata : mapping of str to str, optional
        Of the file; without it, the ``metadata`` of a ``StateDict``.
    sync : bool
        Wait until the file has reached the disk.

    Returns
    -------
    FileReport
        Without a source.

    Raises
    ------
    UnsupportedFormatError
        A layer cannot be stored: it has fewer than two dimensions, a short last group, a dtype
        that GGUF lacks...
    InvalidInputError
        The result, a name in it, or another argument cannot be used.
    OSError
        The operating system refused.

    Examples
    --------
    >>> import tempfile, numpy as np, quarrow as qr
    >>> folder = tempfile.TemporaryDirectory()
    >>> result = qr.quantize_batch({"to_q.weight": np.ones((64, 256), "f")}, "int4")
    >>> _ = result.save(f"{folder.name}/layers.safetensors")
    >>> with qr.open(f"{folder.name}/layers.safetensors") as checkpoint:
    ...     checkpoint["to_q.weight"] == result["to_q.weight"]
    True
    >>> folder.cleanup()
    """
    with _core.CallRecord("save"):
        started = time.perf_counter()
        check_options(None, sync=sync)
        destination = path_bytes(path, "path")
        chosen_container = container_of(destination, container)
        texts = file_metadata(result, metadata)
        chosen = _Choices()
        for name, value in _items(result):
            chosen.add(name, value)
        opened = _core.OpenCheckpoint(chosen.tensors, texts, _stored)
        _check_metadata(opened)
        job = _core.FileJob(opened)
        job.plan(
            chosen.formats,
            bytes(chosen.choices),
            dtype=None,
            max_shard_bytes=0,
            runtime=None,
            container=chosen_container,
        )
        layers = JobLayers(job, [each.name for each in chosen.formats], lambda _: None)
        _check_stored(job, layers, chosen)
        _check_kept(layers, chosen_container)
        job.run(
            destination,
            saturate=False,
            threads=None,
            sync=sync,
            measure_error=False,
            skip_faults=False,
            progress=None,
        )
        warnings = _warnings(job)
        warn(warnings)
        return FileReport(
            source="",
            destination=os.fsdecode(destination),
            files=[os.fsdecode(each) for each in job.paths(destination)],
            format=chosen.formats[0].name if chosen.formats else None,
            bytes_in=job.bytes_in,
            bytes_out=job.bytes_out,
            seconds=time.perf_counter() - started,
            # Made now: the job keeps the tensors.
            layers=list(layers),
            warnings=warnings,
            metadata=job.metadata,
            runtime=job.runtime_rules[0],
        )


class _Choices:
    """The tensors of a job, and what becomes of each."""

    def __init__(self) -> None:
        self.tensors: list[tuple[str, Any]] = []
        self.formats: list[_core.Format] = []
        self.choices = bytearray()
        self._names: set[str] = set()

    def add(self, name: str, value: Any) -> None:
        """Take the next tensor."""
        if isinstance(value, _core.QuantizedTensor):
            name = name if name.endswith(_WEIGHT) else name + _WEIGHT
            self.choices.append(self._index_of(value.format, name))
        else:
            self.choices.append(LEAVE)
        if name in self._names:
            msg = f"two tensors would have the name {name!r} in the file; rename one"
            raise InvalidInputError(msg, name=name)
        self._names.add(name)
        self.tensors.append((name, value))

    def _index_of(self, format: _core.Format, name: str) -> int:
        if format not in self.formats:
            self.formats.append(format)
        index = self.formats.index(format)
        if index >= LEAVE - 1:
            msg = "a file can hold layers of 254 formats; save some of them in another"
            raise InvalidInputError(msg, name=name)
        return index


def _stored(name: str, value: Any) -> StoredEntry:
    if isinstance(value, _core.QuantizedTensor):
        return STORED_DTYPES[value.dtype_name], value.shape, value, 0
    return stored_entry(value, name)


def _items(result: Any) -> list[tuple[str, Any]]:
    if isinstance(result, _core.QuantizedTensor):
        if result.name is None:
            msg = "the tensor has no name; save({name: tensor}, path) gives it one"
            raise InvalidInputError(msg)
        return [(result.name, result)]
    if not isinstance(result, Mapping):
        msg = (
            "got "
            f"{type(result).__name__}; save takes a BatchResult, a StateDict, a QuantizedTensor, "
            "or a mapping of names to such tensors and arrays"
        )
        raise InvalidInputError(msg)
    items: list[tuple[str, Any]] = []
    item: Any  # of any mapping
    for item in result.items():
        if not (isinstance(item, tuple) and len(item) == 2 and is_text(item[0])):
            msg = f"each item must be a name, which is a str, and a tensor, not {safe_repr(item)}"
            raise InvalidInputError(msg)
        items.append(item)
    return items


def _check_metadata(opened: _core.OpenCheckpoint) -> None:
    """Raise InvalidInputError for what ``quarrow.open`` would refuse to read again."""
    try:
        opened.find_layers()
    except CheckpointError as error:
        msg = f"what describes the layers fits no layer that is saved: {error}"
        raise InvalidInputError(msg) from error


def _check_stored(job: _core.FileJob, layers: JobLayers, chosen: _Choices) -> None:
    for index, layer in enumerate(layers):
        choice = chosen.choices[job.source_index(index)]
        if choice == LEAVE or layer.is_quantized:
            continue
        format = chosen.formats[choice].name
        msg = f"layer {layer.name!r} cannot be stored in {format}: {layer.reason}; or leave it out"
        raise UnsupportedFormatError(msg, name=layer.name)


def _check_kept(layers: JobLayers, container: str) -> None:
    """Raise UnsupportedFormatError for arrays of a layer that this kind of file cannot hold."""
    for layer in layers:
        if layer.action in ("restored", "requantized"):
            msg = (
                f"layer {layer.name!r}: {container} files have no place for the arrays of a layer "
                "that is quantized for others; dequantize_state_dict makes floats of them"
            )
            raise UnsupportedFormatError(msg, name=layer.name)


def _warnings(job: _core.FileJob) -> list[str]:
    _, _, _, misread, reason = job.runtime_rules
    warnings = adapter_warnings(job)
    if misread:
        layers = counted(misread, "layer")
        warnings.append(f"ComfyUI would read the codes of {layers} as weights: {reason}")
    return warnings
