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


class CallStats(NamedTuple):
    """What one call did, and how long each part of it took."""

    bytes_in: int
    """Of the input."""
    bytes_out: int
    """Of codes, scales and zero points."""
    bytes_copied: int
    """Of the input, before it could be read; 0 unless ``copy=True`` was needed."""
    view_seconds: float
    """Reading the arguments and finding the input's memory."""
    alloc_seconds: float
    """The plan and the output's memory."""
    core_seconds: float
    """The engine itself."""
    export_seconds: float
    """Handing over the result; arrays are made when read."""
    total_seconds: float
    """From entry to return."""
    threads: int
    """How many threads could work."""
    isa: str
    """The instruction set that ran."""


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
