# SPDX-License-Identifier: Apache-2.0
"""Checkpoint to checkpoint."""

import logging
import math
import os
import re
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast, overload

from quarrow import _core
from quarrow.exceptions import InvalidInputError

_LEAVE = 255
_NO_RULE = 0xFFFF
_LONGEST_SHOWN = 200

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Rule = tuple[str | re.Pattern[str], str | _core.Format | None]

_logger = logging.getLogger("quarrow")


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What became of one tensor.

    Attributes
    ----------
    name : str
        The tensor, as the file names it: any characters.
    action : "quantized" or "kept"
        Whether it was quantized or copied byte for byte.
    format : str or None
        The format's name, when quantized.
    reason : str or None
        Why it was kept.
    shape : tuple of int
        As in the source.
    dtype : str
        As the source spells it: "BF16".
    bytes_in, bytes_out : int
        Of its data before and after, scales and description included.
    error : dict or None
        ``max_abs``, ``rmse``, ``sqnr_db`` and ``cosine``, when measured and quantized.
    """

    name: str
    action: str
    format: str | None
    reason: str | None
    shape: tuple[int, ...]
    dtype: str
    bytes_in: int
    bytes_out: int
    error: dict[str, float] | None


class _Layers(Sequence[LayerReport]):
    """The layers of a report, made when read: a checkpoint may have 100,000."""

    def __init__(
        self,
        job: _core.FileJob,
        formats: list[str],
        leaving_rules: dict[int, str],
        matched: Sequence[int],
    ) -> None:
        self._job = job
        self._formats = formats
        self._leaving_rules = leaving_rules
        self._matched = matched

    def __len__(self) -> int:
        return len(self._job)

    @overload
    def __getitem__(self, index: int) -> LayerReport: ...
    @overload
    def __getitem__(self, index: slice) -> list[LayerReport]: ...
    def __getitem__(self, index: int | slice) -> LayerReport | list[LayerReport]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if index < 0:
            raise IndexError(index)
        name, choice, reason, shape, dtype, bytes_in, bytes_out, error = self._job.tensor(index)
        if choice is not None:
            format_name = self._formats[choice]
            return LayerReport(
                name, "quantized", format_name, None, shape, dtype, bytes_in, bytes_out, error
            )
        if self._matched and self._matched[index] in self._leaving_rules:
            reason = f"left by the rule {self._leaving_rules[self._matched[index]]!r}"
        return LayerReport(name, "kept", None, reason, shape, dtype, bytes_in, bytes_out, None)

    def __iter__(self) -> Iterator[LayerReport]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} layers>"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a file job did.

    Attributes
    ----------
    source, destination : str
        The two files.
    format : str
        The name of the format that was asked for.
    bytes_in, bytes_out : int
        Sizes of the two files.
    seconds : float
        From the call to the finished file.
    layers : sequence of LayerReport
        Every tensor, in the order of the source.
    warnings : list of str
        What the caller should know.
    """

    source: str
    destination: str
    format: str
    bytes_in: int
    bytes_out: int
    seconds: float
    layers: Sequence[LayerReport]
    warnings: list[str]

    def __repr__(self) -> str:
        count = sum(layer.action == "quantized" for layer in self.layers)
        return (
            f"<FileReport {self.format}: {count} of {len(self.layers)} tensors quantized, "
            f"{self.bytes_in} -> {self.bytes_out} bytes in {self.seconds:.2f} s>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain objects that JSON can hold; NaN and Inf become None."""
        return {
            "source": self.source,
            "destination": self.destination,
            "format": self.format,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "seconds": self.seconds,
            "layers": [_layer_dict(layer) for layer in self.layers],
            "warnings": list(self.warnings),
        }


def quantize_file(
    source: Path,
    destination: Path,
    format: str | _core.Format,
    *,
    rules: Iterable[Rule] | None = None,
    progress: Callable[[int, int, str], object] | None = None,
    nonfinite: str = "raise",
    threads: int | None = None,
    sync: bool = True,
    measure_error: bool = False,
    **fields: Any,
) -> FileReport:
    """Write a quantized copy of a safetensors checkpoint.

    The new file holds what the runtimes of the format read. Tensors that they do not load quantized
    are copied byte for byte, and the report says why. Metadata is kept. Tensors lie in the order of
    the source, wider elements first so that each is aligned to its element, what belongs to a
    layer beside it. Memory does not grow with the file or its layers. The file appears when it is
    complete: an error, a signal or a crash leaves what was there before.

    Parameters
    ----------
    source : path
        A ``.safetensors`` file.
    destination : path
        The file to write or to replace.
    format : str or Format
        How to quantize; its fields (``group_size``...) may be given as keywords.
    rules : iterable of (pattern, format or None), optional
        The first pattern found in a tensor's name (``re.search``) gives its format; None leaves the
        tensor as it is. Tensors that no rule finds take ``format``.
    progress : callable, optional
        Called as ``progress(done_bytes, total_bytes, name)`` on this thread, for each tensor that
        is finished and for the one in progress. An exception in it stops the job.
    nonfinite : "raise" or "saturate"
        As in ``quarrow.quantize``.
    threads : int, optional
        At most so many threads. The result does not depend on it.
    sync : bool
        Wait until the file has reached the disk.
    measure_error : bool
        Report each layer's error.
    **fields
        Of the format.

    Returns
    -------
    FileReport

    Raises
    ------
    UnsupportedFormatError
        The format is unknown, or no file can carry it.
    CheckpointError
        The source is damaged, something else, or changed while it was read.
    NonFiniteError
        A layer has NaN or Inf.
    InvalidInputError
        The destination is the source or not a file; another argument cannot be used.
    OSError
        The operating system refused: no such file, no permission, no space left.

    Examples
    --------
    >>> import tempfile, numpy as np, quarrow as qr
    >>> from safetensors.numpy import save_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> source, new = f"{folder.name}/model.safetensors", f"{folder.name}/int8.safetensors"
    >>> save_file({"q.weight": np.ones((8, 64), "f2"), "norm.weight": np.ones(8, "f2")}, source)
    >>> report = qr.quantize_file(source, new, "int8_rowwise", rules=[("norm", None)])
    >>> for layer in report.layers:
    ...     print(layer.name, layer.action, layer.reason)
    norm.weight kept left by the rule 'norm'
    q.weight quantized None
    >>> folder.cleanup()
    """
    started = time.perf_counter()
    default = (
        format.replace(**fields)
        if isinstance(format, _core.Format)
        else _core.Format(format, **fields)
    )
    patterns, formats, choice_of_rule = _read_rules(rules, default)
    _check_options(nonfinite, progress, sync=sync, measure_error=measure_error)
    source_bytes = _path_bytes(source, "source")
    destination_bytes = _path_bytes(destination, "destination")

    job = _core.FileJob(source_bytes)
    matched = _match(job, patterns)
    choices = bytes(0 if rule == _NO_RULE else choice_of_rule[rule] for rule in matched)
    job.plan(formats, choices)
    job.run(
        destination_bytes,
        saturate=nonfinite == "saturate",
        threads=threads,
        sync=sync,
        measure_error=measure_error,
        progress=progress,
    )
    texts = [pattern.pattern for pattern in patterns]
    leaving = {rule: texts[rule] for rule, choice in enumerate(choice_of_rule) if choice == _LEAVE}
    warnings = [*_unmatched_rules(texts, matched), *_adapter_warning(job)]
    for warning in warnings:
        _logger.warning("%s", warning)
    return FileReport(
        source=os.fsdecode(source_bytes),
        destination=os.fsdecode(destination_bytes),
        format=default.name,
        bytes_in=job.bytes_in,
        bytes_out=job.bytes_out,
        seconds=time.perf_counter() - started,
        layers=_Layers(job, [each.name for each in formats], leaving, matched),
        warnings=warnings,
    )


def _check_options(nonfinite: object, progress: object, **flags: object) -> None:
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            msg = f"{name} must be True or False, not {flag!r}"
            raise InvalidInputError(msg)
    if not isinstance(nonfinite, str) or nonfinite not in ("raise", "saturate"):
        msg = f"nonfinite must be 'raise' or 'saturate', not {nonfinite!r}"
        raise InvalidInputError(msg)
    if progress is not None and not callable(progress):
        msg = f"progress must be callable or None, not {progress!r}"
        raise InvalidInputError(msg)


def _read_rules(
    rules: Iterable[Any] | None, default: _core.Format
) -> tuple[list[re.Pattern[str]], list[_core.Format], list[int]]:
    """Return the patterns, all formats (the default first), and the choice of each rule."""
    patterns: list[re.Pattern[str]] = []
    formats = [default]
    choices: list[int] = []
    try:
        pairs = list(rules or ())
    except TypeError:
        msg = f"rules must be (pattern, format) pairs, not {rules!r}"
        raise InvalidInputError(msg) from None
    for rule in pairs:
        if not (isinstance(rule, tuple | list) and len(rule) == 2):
            msg = f"a rule must be (pattern, format or None), not {rule!r}"
            raise InvalidInputError(msg)
        pattern, wanted = rule
        patterns.append(_compiled(pattern))
        if wanted is None:
            choices.append(_LEAVE)
            continue
        chosen = wanted if isinstance(wanted, _core.Format) else _core.Format(wanted)
        if chosen not in formats:
            formats.append(chosen)
        choices.append(formats.index(chosen))
    if len(formats) > _LEAVE or len(patterns) > _NO_RULE:
        msg = f"{len(patterns)} rules with {len(formats)} formats are too many"
        raise InvalidInputError(msg)
    return patterns, formats, choices


def _compiled(pattern: object) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)  # type: ignore[call-overload]
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        shown = repr(pattern) if len(str(pattern)) < _LONGEST_SHOWN else f"{str(pattern)[:60]!r}..."
        msg = f"the rule {shown} is not a regular expression: {error}"
        raise InvalidInputError(msg) from None
    if not isinstance(compiled.pattern, str):
        msg = f"the rule {pattern!r} is of bytes; names are str"
        raise InvalidInputError(msg)
    return cast("re.Pattern[str]", compiled)


def _match(job: _core.FileJob, patterns: list[re.Pattern[str]]) -> Sequence[int]:
    """Return the index of the rule that decides on each tensor; nothing when there are no rules."""
    if not patterns:
        return ()
    matched = array("H")
    for index in range(len(job)):
        name = job.name(index)
        found = (rule for rule, pattern in enumerate(patterns) if pattern.search(name))
        matched.append(next(found, _NO_RULE))
    return matched


def _unmatched_rules(texts: list[str], matched: Sequence[int]) -> list[str]:
    used = set(matched)
    return [
        f"the rule {text!r} decided on no tensor"
        for rule, text in enumerate(texts)
        if rule not in used
    ]


def _adapter_warning(job: _core.FileJob) -> list[str]:
    count = job.adapter_factors
    if count == 0:
        return []
    text = f"{count} LoRA matrices were quantized: no runtime loads quantized adapters, this file "
    return [text + "is an archive"]


def _path_bytes(path: Path, role: str) -> bytes:
    try:
        encoded = os.fsencode(path)
    except (TypeError, UnicodeEncodeError):
        msg = f"{role} must be a path, not {path!r}"
        raise InvalidInputError(msg) from None
    if b"\0" in encoded:
        msg = f"{role} must be a path without NUL characters, not {path!r}"
        raise InvalidInputError(msg)
    return encoded


def _layer_dict(layer: LayerReport) -> dict[str, Any]:
    plain = asdict(layer)
    plain["shape"] = list(layer.shape)
    if layer.error is not None:
        plain["error"] = {
            key: value if math.isfinite(value) else None for key, value in layer.error.items()
        }
    return plain
