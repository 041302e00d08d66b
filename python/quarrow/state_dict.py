# SPDX-License-Identifier: Apache-2.0
"""State dicts: what a file would hold, as a dict of arrays."""

from collections.abc import Iterable, Mapping
from typing import Any

from quarrow import _core
from quarrow.exceptions import InvalidInputError
from quarrow.files import Progress, check_options, check_word, run_skipping
from quarrow.layer_rules import LayerRules, Rule, as_format
from quarrow.safe_repr import safe_repr
from quarrow.stored_dtypes import from_bytes, stored_bytes
from quarrow.torch_tensors import is_torch_tensor


class StateDict(dict[str, Any]):
    """Tensors by name, and the metadata that goes with them.

    Attributes
    ----------
    metadata : dict of str to str
        What the file's ``__metadata__`` would be.
    errors : dict of str to QuarrowError
        Of the layers that were left as they are with ``on_error="skip"``.
    """

    def __init__(
        self, tensors: Mapping[str, Any] | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(tensors or {})
        self.metadata = dict(metadata or {})
        self.errors: dict[str, Exception] = {}


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
    **fields: Any,
) -> StateDict:
    """Return the entries that ``quantize_file`` would write for these tensors.

    Tensors that are not quantized are the very objects that were passed.

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
        A value is no array; another argument cannot be used.

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
        check_options(progress)
        check_word("nonfinite", nonfinite, "raise", "saturate")
        check_word("on_error", on_error, "raise", "skip")
        job = _job(state_dict, metadata, record)
        deciding.decide(job.source_size, job.source_name)

        def run_once() -> list[tuple[int, Exception]]:
            job.plan(deciding.formats, bytes(deciding.choices), dtype=dtype, max_shard_bytes=0)
            return job.run_in_memory(
                saturate=nonfinite == "saturate",
                threads=threads,
                skip_faults=on_error == "skip",
                progress=progress,
            )

        skipped = run_skipping(run_once, deciding.choices)
        result = _result(job, state_dict)
        result.errors = {job.source_name(index): error for index, error in skipped.items()}
        return result


def dequantize_state_dict(
    state_dict: Mapping[str, Any],
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: str | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
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

    Returns
    -------
    StateDict
        numpy arrays, or torch tensors where the input was of torch, with ``.metadata``.

    Raises
    ------
    CheckpointError
        The entries of a layer do not fit together.
    InvalidInputError
        A value is no array; another argument cannot be used.
    """
    with _core.CallRecord("dequantize_state_dict") as record:
        check_options(progress)
        job = _job(state_dict, metadata, record)
        job.plan_restored(dtype=dtype, max_shard_bytes=0)
        job.run_in_memory(saturate=False, threads=threads, skip_faults=False, progress=progress)
        return _result(job, state_dict)


def _job(state_dict: object, metadata: object, record: _core.CallRecord) -> _core.FileJob:
    if not isinstance(state_dict, Mapping):
        msg = f"state_dict must map names to arrays, not {type(state_dict).__name__}"
        raise InvalidInputError(msg)
    if metadata is None:
        metadata = state_dict.metadata if isinstance(state_dict, StateDict) else {}
    texts = dict(metadata) if isinstance(metadata, Mapping) else {}
    are_texts = all(_is_text(text) for item in texts.items() for text in item)
    if not (are_texts and isinstance(metadata, Mapping)):
        msg = "metadata must map strings to strings"
        raise InvalidInputError(msg)
    tensors = []
    for name, value in state_dict.items():
        if not _is_text(name):
            msg = f"a name must be a str, not {safe_repr(name)}"
            raise InvalidInputError(msg)
        dtype, shape, data, copied = stored_bytes(value, name)
        record.copied(copied)
        tensors.append((name, dtype, shape, data))
    return _core.FileJob(_core.OpenCheckpoint(tensors, texts))


def _is_text(value: object) -> bool:
    """Whether it is a str that a file can hold: lone surrogates are no UTF-8."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _result(job: _core.FileJob, state_dict: Mapping[str, Any]) -> StateDict:
    sources = list(state_dict.values())
    torch_in = bool(sources) and is_torch_tensor(sources[0])
    result = StateDict(metadata=job.metadata)
    for name, dtype, shape, data in job.entries():
        if isinstance(data, int):
            result[name] = sources[data]
        else:
            result[name] = from_bytes(data, dtype, shape, as_torch=torch_in)
    return result
