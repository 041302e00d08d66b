# SPDX-License-Identifier: Apache-2.0
"""State dicts: what a file would hold, as a dict of arrays."""

import logging
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from quarrow import _core
from quarrow.exceptions import InvalidInputError
from quarrow.files import Progress, check_options, check_word, is_text, run_skipping
from quarrow.job_findings import (
    nothing_quantized,
    nothing_restored,
    quantizing_warnings,
    restoring_warnings,
)
from quarrow.layer_rules import LayerRules, Rule, as_format
from quarrow.rejection import Rejection
from quarrow.runtime_rules import check_runtime, nothing_loads, refuse, runtime_warnings
from quarrow.safe_repr import safe_repr
from quarrow.stored_dtypes import from_bytes, stored_bytes
from quarrow.torch_tensors import is_torch_tensor

_logger = logging.getLogger("quarrow")


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
    """

    def __init__(
        self, tensors: Mapping[str, Any] | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(tensors or {})
        self.metadata = dict(metadata or {})
        self.errors: dict[str, Exception] = {}
        self.warnings: list[str] = []


def quantize_state_dict(
    state_dict: Mapping[str, Any],
    format: str | _core.Format,
    *,
    rules: Iterable[Rule] | None = None,
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
        numpy arrays, or torch tensors on the CPU; those that do not lie in C order are copied.
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
        numpy arrays, or torch tensors where the input was of torch, with ``.metadata``.

    Raises
    ------
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
    with _core.CallRecord("quantize_state_dict") as record:
        deciding = LayerRules(rules, as_format(format, fields))
        check_options(progress, strict=strict)
        check_word("nonfinite", nonfinite, "raise", "saturate")
        check_word("on_error", on_error, "raise", "skip")
        check_runtime(runtime, deciding.formats[0].name)
        job, arrays, others = _job(state_dict, metadata, record, strict=strict)
        deciding.decide(job.source_size, job.source_name)

        def run_once() -> list[tuple[int, Exception]]:
            choices = bytes(deciding.choices)
            job.plan(deciding.formats, choices, dtype=dtype, max_shard_bytes=0, runtime=runtime)
            refuse(job, runtime)
            return job.run_in_memory(
                saturate=nonfinite == "saturate",
                threads=threads,
                skip_faults=on_error == "skip",
                progress=progress,
            )

        skipped = run_skipping(run_once, deciding.choices)
        told = deciding.unmatched()
        told += runtime_warnings(job, deciding.formats[0].name, runtime)
        told += quantizing_warnings(job)
        result = _result(job, arrays, others)
        _warn(result, told, nothing_loads(job) or nothing_quantized(job))
        result.errors = {job.source_name(index): error for index, error in skipped.items()}
        return result


def dequantize_state_dict(
    state_dict: Mapping[str, Any],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: str | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
    strict: bool = False,
) -> StateDict:
    """Return the tensors that ``dequantize_file`` would write for these entries.

    Parameters
    ----------
    state_dict : mapping of str to array
        The entries of a quantized file: numpy arrays, or torch tensors on the CPU.
    metadata : mapping of str to str, optional
        That of the file, which describes layers of compressed-tensors; without it, the
        ``metadata`` of a ``StateDict``.
    dtype, progress, threads
        As in ``dequantize_file``.
    strict : bool
        Refuses values that are no tensors; otherwise they are passed on.

    Returns
    -------
    StateDict
        numpy arrays, or torch tensors where the input was of torch, with ``.metadata``.

    Raises
    ------
    CheckpointError
        The entries of a layer do not fit together.
    InvalidInputError
        An array cannot be read, or is in a dict of its own; a value is no array and ``strict`` is
        set; another argument cannot be used.
    """
    with _core.CallRecord("dequantize_state_dict") as record:
        check_options(progress, strict=strict)
        job, arrays, others = _job(state_dict, metadata, record, strict=strict)
        job.plan_restored(dtype=dtype, max_shard_bytes=0)
        job.run_in_memory(saturate=False, threads=threads, skip_faults=False, progress=progress)
        result = _result(job, arrays, others)
        _warn(result, restoring_warnings(job), nothing_restored(job))
        return result


def _warn(result: StateDict, warnings: list[str], refusal: str | None) -> None:
    result.warnings = warnings if refusal is None else [*warnings, refusal]
    for warning in result.warnings:
        _logger.warning("%s", warning)


def _job(
    state_dict: object, metadata: object, record: _core.CallRecord, *, strict: bool
) -> tuple[_core.FileJob, list[Any], dict[str, Any]]:
    """Make the job of the arrays; return them too, and the values that are none."""
    if not isinstance(state_dict, Mapping):
        msg = f"state_dict must map names to arrays, not {type(state_dict).__name__}"
        raise InvalidInputError(msg)
    if metadata is None:
        metadata = state_dict.metadata if isinstance(state_dict, StateDict) else {}
    texts = dict(metadata) if isinstance(metadata, Mapping) else {}
    are_texts = all(is_text(text) for item in texts.items() for text in item)
    if not (are_texts and isinstance(metadata, Mapping)):
        msg = "metadata must map strings to strings"
        raise InvalidInputError(msg)
    tensors = []
    arrays: list[Any] = []
    others = {}
    for name, value in state_dict.items():
        if not is_text(name):
            msg = f"a name must be a str, not {safe_repr(name)}"
            raise InvalidInputError(msg)
        if not _is_array(value):
            _check_other(value, name, strict=strict)
            others[name] = value
            continue
        dtype, shape, data, copied = stored_bytes(value, name)
        record.copied(copied)
        tensors.append((name, dtype, shape, data))
        arrays.append(value)
    return _core.FileJob(_core.OpenCheckpoint(tensors, texts)), arrays, others


def _is_array(value: object) -> bool:
    """Whether its values may be weights; only some kinds of arrays can be read."""
    if isinstance(value, np.ndarray | memoryview | array) or is_torch_tensor(value):
        return True
    names = ("__dlpack__", "__array__", "__array_interface__", "__arrow_c_array__")
    is_scalar = isinstance(value, np.generic | type)
    return not is_scalar and any(hasattr(value, name) for name in names)


def _check_other(value: object, name: str, *, strict: bool) -> None:
    reject = Rejection(name)
    if strict:
        reject(f"got {type(value).__name__}, which is no tensor; strict=False passes it on")
    # Passed on, a model would seem to be quantized.
    if isinstance(value, Mapping) and any(_is_array(each) for each in value.values()):
        reject(f"got a {type(value).__name__} of tensors; pass state_dict[{name!r}] by itself")


def _result(job: _core.FileJob, arrays: list[Any], others: dict[str, Any]) -> StateDict:
    torch_in = bool(arrays) and is_torch_tensor(arrays[0])
    result = StateDict(metadata=job.metadata)
    for name, dtype, shape, data in job.entries():
        if isinstance(data, int):
            result[name] = arrays[data]
        else:
            result[name] = from_bytes(data, dtype, shape, as_torch=torch_in)
    for name, value in others.items():
        if name in result:
            Rejection(name)("an entry of a quantized layer has this name too; rename or remove it")
        result[name] = value
    return result
