# SPDX-License-Identifier: Apache-2.0
"""How far restored values are from their originals."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reference.rounding import widen


class ErrorFigures(NamedTuple):
    max_abs: float
    rmse: float
    sqnr_db: float
    cosine: float


def error_figures(w: NDArray[Any], restored: NDArray[np.float32]) -> ErrorFigures:
    """Return the figures in float64; originals that are not finite do not count."""
    original = widen(w).astype(np.float64).ravel()
    values = restored.astype(np.float64).ravel()
    counted = np.isfinite(original)
    original, values = original[counted], values[counted]
    if original.size == 0:
        return ErrorFigures(0.0, 0.0, np.nan, 1.0)
    error = original - values
    noise, signal = float(error @ error), float(original @ original)
    length = np.sqrt(signal) * np.sqrt(float(values @ values))
    if signal == 0:
        sqnr_db = np.inf if noise == 0 else -np.inf
    else:
        sqnr_db = np.inf if noise == 0 else 10 * np.log10(signal / noise)
    if length > 0:
        cosine = float(original @ values) / length
    else:
        cosine = 1.0 if signal == float(values @ values) else 0.0
    return ErrorFigures(
        float(np.abs(error).max()), float(np.sqrt(noise / original.size)), sqnr_db, cosine
    )
