# SPDX-License-Identifier: Apache-2.0
"""What a planned job does not do, or does for nobody, in words."""

import os
from collections.abc import Iterable

from quarrow import _core
from quarrow.counts import counted, verb

_MOST_REASONS = 5


def nothing_quantized(job: _core.FileJob) -> str | None:
    """Return why the new file would be a copy; None when it is not."""
    changed = job.quantized or job.converted or job.restored
    return None if changed else _no_quantizing(job)


def nothing_restored(job: _core.FileJob) -> str | None:
    """Return why no layer would be restored; None when one is."""
    return None if job.restored else f"nothing was restored: {_what_is_left(job)}"


def quantizing_warnings(job: _core.FileJob) -> list[str]:
    """Return what the caller should know of a file that is quantized."""
    warnings = _of_readers(job)
    if job.quantized:
        left = {name: (text, count) for name, text, count in job.reasons}
        for name in ("narrow_float", "short_group", "config_taken"):
            if name in left:
                text, count = left[name]
                stay = verb(count, "stays as it is", "stay as they are")
                warnings.append(f"{counted(count, 'tensor')} {stay}: {text}")
    elif job.converted or job.restored:
        warnings.append(_no_quantizing(job))
    if job.requantized:
        layers = f"{counted(job.requantized, 'layer')} {verb(job.requantized, 'was', 'were')}"
        warnings.append(
            f"{layers} quantized already: the errors of both times add up; start from the file "
            "that is not quantized where there is one"
        )
    return [*warnings, *_of_config(job), *_of_source(job)]


def converting_warnings(job: _core.FileJob) -> list[str]:
    """Return what the caller should know of a file that gets another kind or dtype."""
    warnings = []
    if job.restored:
        are = verb(job.restored, "is a float tensor", "are float tensors")
        warnings.append(
            f"{counted(job.restored, 'quantized layer')} {are} now: this kind of file has no place "
            "for such layers; quantize to a format that it has"
        )
    return [*warnings, *_of_config(job), *_of_source(job)]


def restoring_warnings(job: _core.FileJob) -> list[str]:
    """Return what the caller should know of a file that is restored."""
    warnings = []
    if job.layers_left and job.restored:
        warnings.append(f"not restored: {_layers(job.layers_left)}")
    return [*warnings, *_of_config(job), *_of_source(job)]


def _no_quantizing(job: _core.FileJob) -> str:
    return f"nothing was quantized: {_why(job)}"


def _why(job: _core.FileJob) -> str:
    reasons = job.reasons
    if not reasons:
        return "it has no tensors"
    parts = [f"{counted(count, 'tensor')}: {text}" for _, text, count in reasons[:_MOST_REASONS]]
    more = sum(count for _, _, count in reasons[_MOST_REASONS:])
    if more:
        parts.append(f"{counted(more, 'tensor')} for other reasons")
    return "; ".join(parts)


def _what_is_left(job: _core.FileJob) -> str:
    left = job.layers_left
    if left:
        return f"{_layers(left)} cannot be restored yet"
    if len(job) < 2:
        return (
            "its only tensor is no part of a quantized layer" if len(job) else "it has no tensors"
        )
    return f"none of its {counted(len(job), 'tensor')} is part of a quantized layer"


def _layers(left: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{counted(count, 'layer')} ({way})" for way, count in left)


def _of_readers(job: _core.FileJob) -> list[str]:
    readers = job.readers
    if len(readers) < 2:
        return []
    names = " and ".join([", ".join(readers[:-1]), readers[-1]])
    text = f"the new file holds quantized layers for {names}, and nobody loads them all: choose "
    return [text + "formats of one runtime, and start from a file that is not quantized"]


def _of_config(job: _core.FileJob) -> list[str]:
    if job.config_file is None or not (job.restored or job.requantized):
        return []
    text = f"{os.fsdecode(job.config_file)!r} says that these layers are quantized; the new file "
    return [text + "needs a config.json without that"]


def _of_source(job: _core.FileJob) -> list[str]:
    warnings = []
    if job.unlisted:
        are = verb(job.unlisted, "it is", "they are")
        warnings.append(
            f"the index does not name {counted(job.unlisted, 'tensor')} of its files: {are} no "
            "part of the checkpoint, and left out"
        )
    if job.trailing_bytes:
        warnings.append(
            f"behind the last tensor of the source lie {counted(job.trailing_bytes, 'byte')} that "
            "belong to none: they are left out"
        )
    if job.differing_keys:
        keys = ", ".join(map(repr, job.differing_keys[:_MOST_REASONS]))
        warnings.append(
            f"the files of the source have different values of the metadata key {keys}: the new "
            "checkpoint has none"
        )
    return warnings
