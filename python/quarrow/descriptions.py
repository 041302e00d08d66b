# SPDX-License-Identifier: Apache-2.0
"""Named tuples in which quarrow describes formats, calls and errors."""

from typing import NamedTuple

from quarrow._core import Format


class FormatDescription(NamedTuple):
    """One line of ``quarrow.formats()``."""

    name: str
    """What ``quantize`` takes."""
    summary: str
    """One line for a person."""
    bits: int
    """Of a code."""
    fields: tuple[str, ...]
    """What may be set beside the name."""
    defaults: Format
    """The format with nothing set."""


class FieldDescription(NamedTuple):
    """A field of formats."""

    name: str
    """As a keyword."""
    kind: str
    """The type of its values: ``int | str``."""
    words: tuple[str, ...]
    """What it takes, of words."""
    summary: str
    """One line for a person."""
    formats: tuple[str, ...]
    """That have it."""


class CallStats(NamedTuple):
    """What one call did, and how long each part of it took."""

    bytes_in: int
    """Of the input."""
    bytes_out: int
    """Of codes, scales and zero points."""
    bytes_copied: int
    """Of the input, before it could be read; 0 unless ``copy=True`` was needed."""
    view_seconds: float
    """Reading the arguments and finding the input's memory; 0 in ``quantize`` below 64 KB."""
    alloc_seconds: float
    """The plan and the output's memory; 0 in ``quantize`` below 64 KB."""
    core_seconds: float
    """The engine itself."""
    export_seconds: float
    """Handing over the result; arrays are made when read. 0 in ``quantize`` below 64 KB."""
    total_seconds: float
    """From entry to return."""
    threads: int
    """How many threads could work."""
    isa: str
    """The instruction set that ran."""


class EntryMetrics(NamedTuple):
    """What the calls of one entry point did in this process."""

    calls: int
    """That ended, with a result or an error."""
    layers: int
    """In results: those that were quantized or restored."""
    bytes_in: int
    """Of these layers, as they came in."""
    bytes_copied: int
    """Of input, before it could be read; in calls that failed afterwards too."""
    seconds: float
    """From entry to return, of calls from 64 KB of input on and of file jobs."""
    errors: int
    """Calls that raised, and layers that were skipped."""


class ErrorStats(NamedTuple):
    """How far stored values are from their originals."""

    max_abs: float
    """The largest absolute difference."""
    rmse: float
    """Root of the mean squared difference."""
    sqnr_db: float
    """Signal to quantization noise in decibels; inf without error, nan without signal."""
    cosine: float
    """Of the angle between both as vectors; 1 when both are zero."""
