# SPDX-License-Identifier: Apache-2.0
"""State dicts: what a file would hold, as a dict of arrays."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from quarrow import _core
from quarrow.call_log import warn
from quarrow.exceptions import InvalidInputError
from quarrow.file_arguments import Progress, check_options, check_word, is_text
from quarrow.file_report import FileReport, JobLayers
from quarrow.files import quantized_layers, run_skipping
from quarrow.job_findings import (
    nothing_quantized,
    nothing_restored,
    quantizing_warnings,
    restoring_warnings,
)
from quarrow.layer_rules import LayerRules, Rules, as_format
from quarrow.like import FLOATS, dtype_of, is_float64, is_of_kind, like_array
from quarrow.rejection import Rejection
from quarrow.runtime_rules import check_runtime, nothing_loads, refuse, runtime_warnings
from quarrow.state_entries import Entries, stored_entry
from quarrow.stored_dtypes import flat_bytes, numpy_dtype
from quarrow.torch_tensors import torch_alone


class StateDict(dict[str, Any]):
    """Tensors by name, and the metadata that goes with them.

    Attributes
    ----------
    metadata : dict of str to str
        What the file's ``__metadata__`` would be.
    errors : dict of str to QuarrowError
        Of the layers that were left as they are with ``on_error="skip"``.
    warnings : list of str
        What the caller should know, as in a ``FileReport``.
    report : FileReport or None
        What became of each tensor and why, of a dict that a job made: the report of the file that
        would hold it.
    """

    def __init__(
        self, tensors: Mapping[str, Any] | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(tensors or {})
        self.metadata = dict(metadata or {})
        self.errors: dict[str, Exception] = {}
        self.warnings: list[str] = []
        self.report: FileReport | None = None


def quantize_state_dict(
    state_dict: Mapping[str, Any],
    format: str | _core.Format,
    *,
    rules: Rules | None = None,
    metadata: Mapping[str, str] | None = None,
    dtype: str | None = None,
    on_error: str = "raise",
    progress: Progress | None = None,
    nonfinite: str = "raise",
    threads: int | None = None,
    strict: bool = False,
    runtime: str | None = None,
    **fields: Any,
) -> StateDict:
    """Return the entries that ``quantize_file`` would write for these tensors.

    What is not quantized is the very object that was passed: tensors, and behind them the values
    that are no tensors (numbers, texts, None, a module's extra state).

    Parameters
    ----------
    state_dict : mapping of str to array
        numpy arrays, torch tensors and jax arrays on the CPU, the tensors of ``quarrow.open``;
        those that do not lie in C order are copied. A QuantizedTensor stays what it is.
    format : str or Format
        How to quantize; its fields (``group_size``...) may be given as keywords.
    metadata : mapping of str to str, optional
        That of the file; without it, the ``metadata`` of a ``StateDict``.
    rules, dtype, on_error, progress, nonfinite, threads
        As in ``quantize_file``.
    strict : bool
        Refuses values that are no tensors.
    runtime : "comfyui" or "none", optional
        As in ``quantize_file``; what that would warn of is logged. Entries of one module say
        nothing of the model, so that nothing is held back of them.
    **fields
        Of the format.

    Returns
    -------
    StateDict
        numpy arrays, or torch tensors where the input was of torch, with ``.metadata`` and
        ``.report``.

    Raises
    ------
    CheckpointError
        The entries of a quantized layer do not fit together.
    UnsupportedFormatError
        The format is unknown, or no file can carry it.
    NonFiniteError
        A layer has NaN or Inf.
    InvalidInputError
        An array cannot be read, or is in a dict of its own; a value is no array and ``strict`` is
        set; another argument cannot be used.

    Examples
    --------
    >>> import numpy as np, quarrow as qr
    >>> small = qr.quantize_state_dict({"q.weight": np.ones((8, 256), "f2")}, "int8_rowwise")
    >>> sorted(small)
    ['q.comfy_quant', 'q.weight', 'q.weight_scale']
    >>> qr.dequantize_state_dict(small)["q.weight"].dtype
    dtype('float16')
    """
    with _core.CallRecord("quantize_state_dict"):
        started = time.perf_counter()
        deciding = LayerRules(rules, as_format(format, fields))
        check_options(progress, strict=strict)
        check_word("nonfinite", nonfinite, "raise", "saturate")
        check_word("on_error", on_error, "raise", "skip")
        check_runtime(runtime, deciding.formats[0])
        entries = _entries(state_dict, metadata, strict=strict)
        job = _core.FileJob(entries.opened)
        deciding.decide(job.source_size, lambda: map(job.source_name, range(job.source_size)))

        def run_once() -> list[tuple[int, Exception]]:
            choices = bytes(deciding.choices)
            job.plan(
                deciding.formats,
                choices,
                dtype=dtype,
                max_shard_bytes=0,
                runtime=runtime,
                in_memory=True,
            )
            refuse(job, runtime)
            _check_bfloat16(job, entries)
            return job.run_in_memory(
                saturate=nonfinite == "saturate",
                threads=threads,
                skip_faults=on_error == "skip",
                progress=progress,
            )

        skipped = run_skipping(run_once, deciding.choices)
        told = deciding.unmatched()
        told += runtime_warnings(job, deciding.formats[0], runtime)
        told += quantizing_warnings(job)
        result = _result(job, entries)
        refusal = nothing_loads(job) or nothing_quantized(job)
        _warn(result, told, refusal)
        result.errors = {job.source_name(index): error for index, error in skipped.items()}

        layers = quantized_layers(job, deciding, skipped)
        format_name = deciding.formats[0].name
        result.report = _report(job, result, layers, format_name, started, refusal)
        return result


def dequantize_state_dict(
    state_dict: Mapping[str, Any],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: str | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
    strict: bool = False,
    like: Any = None,
) -> StateDict:
    """Return the tensors that ``dequantize_file`` would write for these entries.

    Parameters
    ----------
    state_dict : mapping of str to array
        The entries of a quantized file: numpy arrays, or torch tensors on the CPU. The values of
        ``quarrow.open``, QuantizedTensors among them, are taken too.
    metadata : mapping of str to str, optional
        That of the file, which describes layers of compressed-tensors; without it, the
        ``metadata`` of a ``StateDict``.
    dtype, progress, threads
        As in ``dequantize_file``.
    strict : bool
        Refuses values that are no tensors; otherwise they are passed on.
    like : array, optional
        Instead of dtype: all float tensors become of its kind and dtype, restored or not, as
        ``dequantize`` makes them; float64 is not among the dtypes.

    Returns
    -------
    StateDict
        numpy arrays, or torch tensors where the input was of torch, with ``.metadata`` and
        ``.report``.

    Raises
    ------
    CheckpointError
        The entries of a layer do not fit together.
    InvalidInputError
        An array cannot be read, or is in a dict of its own; a value is no array and ``strict`` is
        set; another argument cannot be used.
    """
    with _core.CallRecord("dequantize_state_dict"):
        started = time.perf_counter()
        check_options(progress, strict=strict)
        if like is not None:
            dtype = _dtype_like(like, dtype)
        entries = _entries(state_dict, metadata, strict=strict)
        job = _core.FileJob(entries.opened)
        job.plan_floats(restore=True, dtype=dtype, max_shard_bytes=0, in_memory=True)
        if like is None:
            _check_bfloat16(job, entries)
        job.run_in_memory(saturate=False, threads=threads, skip_faults=False, progress=progress)
        result = _result(job, entries, like)
        for name, value in result.items():
            if isinstance(value, _core.QuantizedTensor):
                result[name] = _dequantized(value, dtype, like, threads)
        refusal = None if entries.has_quantized else nothing_restored(job)
        _warn(result, restoring_warnings(job), refusal)
        layers = JobLayers(job, [], lambda _: None)
        result.report = _report(job, result, layers, None, started, refusal)
        return result


def _warn(result: StateDict, warnings: list[str], refusal: str | None) -> None:
    result.warnings = warnings if refusal is None else [*warnings, refusal]
    warn(result.warnings)


def file_metadata(state_dict: object, metadata: object) -> dict[str, str]:
    """Return the metadata that was given, or that of a StateDict."""
    if metadata is None:
        metadata = state_dict.metadata if isinstance(state_dict, StateDict) else {}
    texts = dict(metadata) if isinstance(metadata, Mapping) else {}
    are_texts = all(is_text(text) for item in texts.items() for text in item)
    if not (are_texts and isinstance(metadata, Mapping)):
        msg = "metadata must map strings to strings"
        raise InvalidInputError(msg)
    return texts


def _entries(state_dict: object, metadata: object, *, strict: bool) -> Entries:
    if not isinstance(state_dict, Mapping):
        msg = f"state_dict must map names to arrays, not {type(state_dict).__name__}"
        raise InvalidInputError(msg)
    return Entries(state_dict, file_metadata(state_dict, metadata), strict=strict)


def _check_bfloat16(job: _core.FileJob, entries: Entries) -> None:
    """Raise InvalidInputError where a new array would have a dtype that numpy lacks."""
    if entries.of_torch or numpy_dtype("BF16") != np.dtype("uint16"):
        return
    for name, dtype, is_made in job.entries():
        if dtype == "BF16" and is_made:
            Rejection(name)(
                "numpy has no bfloat16 without ml_dtypes: python -m pip install ml_dtypes, name "
                "another dtype, or pass tensors of torch (to dequantize_state_dict, like=tensor)"
            )


def _dtype_like(like: Any, dtype: object) -> str:
    if dtype is not None:
        msg = "like says the dtype too; pass one of dtype and like"
        raise InvalidInputError(msg)
    computed = dtype_of(like, None)
    if is_float64(like):
        msg = "like is of float64; the tensors of a state dict become float32, float16 or bfloat16"
        raise InvalidInputError(msg)
    return computed


def _result(job: _core.FileJob, entries: Entries, like: Any = None) -> StateDict:
    result = StateDict(metadata=job.metadata)
    if entries.of_torch and like is None:
        with torch_alone():
            job.take_entries(True, result)
    else:
        job.take_entries(False, result)
    entries.opened.release()
    if like is not None:
        _make_like(result, job, like)
    for name, value in entries.others.items():
        if name in result:
            Rejection(name)("an entry of a quantized layer has this name too; rename or remove it")
        result[name] = value
    return result


def _make_like(result: StateDict, job: _core.FileJob, like: Any) -> None:
    for name, dtype, is_made in job.entries():
        value = result[name]
        if dtype in FLOATS and (is_made or not is_of_kind(value, like)):
            _, shape, stored, _ = stored_entry(value, name)
            result[name] = like_array(flat_bytes(stored), FLOATS[dtype], shape, like)


def _dequantized(
    tensor: _core.QuantizedTensor, dtype: str | None, like: Any, threads: int | None
) -> Any:
    if like is not None:
        return tensor.dequantize(like=like, threads=threads)
    wanted = dtype or tensor.dtype_name
    if wanted == "float64":
        return tensor.dequantize(threads=threads).astype(wanted)
    return tensor.dequantize(wanted, threads=threads)


def _report(
    job: _core.FileJob,
    result: StateDict,
    layers: JobLayers,
    format: str | None,
    started: float,
    refusal: str | None,
) -> FileReport:
    return FileReport(
        source="",
        destination="",
        files=[],
        format=format,
        bytes_in=job.bytes_in,
        bytes_out=job.bytes_out,
        seconds=time.perf_counter() - started,
        layers=layers,
        warnings=result.warnings,
        metadata=result.metadata,
        errors=result.errors,
        runtime=job.runtime_rules[0],
        refusal=refusal,
    )
