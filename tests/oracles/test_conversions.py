# SPDX-License-Identifier: Apache-2.0
"""Conversions between float types, against numpy, ml_dtypes and torch."""

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.rounding import narrow, nearest, widen

EVERY_PATTERN = np.arange(1 << 16, dtype=np.uint16)


def neighbourhood(name: str) -> NDArray[np.float32]:
    """Return every finite value of a 16-bit type, the midpoints, and the float32s beside both."""
    dtype = np.float16 if name == "float16" else ml_dtypes.bfloat16
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = EVERY_PATTERN.view(dtype).astype(np.float64)
    values = np.unique(values[np.isfinite(values)])
    midpoints = (values[1:] + values[:-1]) / 2
    top = values[-1] + (values[-1] - values[-2]) / 2
    points = np.concatenate([values, midpoints, [top, -top]]).astype(np.float32)
    beside = [np.nextafter(points, np.float32(side)) for side in (-np.inf, np.inf)]
    return np.concatenate([points, *beside])


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_narrowing_near_every_pattern(name: str) -> None:
    values = neighbourhood(name)
    values = values[np.isfinite(values)]
    dtype = np.float16 if name == "float16" else ml_dtypes.bfloat16
    with np.errstate(over="ignore"):
        theirs = values.astype(dtype).view(np.uint16)
    np.testing.assert_array_equal(narrow(values, name).view(np.uint16), theirs)
    by_torch = torch.from_numpy(values).to(getattr(torch, name)).view(torch.uint16).numpy()
    np.testing.assert_array_equal(theirs, by_torch)


def test_narrowing_float64() -> None:
    rng = np.random.default_rng(4)
    wide = np.ldexp(rng.normal(size=100_000), rng.integers(-160, 130, 100_000))
    edges = np.array([2.0**-149, 2.0**-150, 3 * 2.0**-150, 2.0**128, 2.0**128 * (1 - 2.0**-25)])
    values = np.concatenate([wide, edges, -edges, edges * (1 + 2.0**-50)])
    with np.errstate(over="ignore", under="ignore"):
        theirs = values.astype(np.float32)
    np.testing.assert_array_equal(widen(values).view(np.uint32), theirs.view(np.uint32))
    np.testing.assert_array_equal(nearest(values, "float32"), theirs)


def test_widening_every_pattern() -> None:
    brain = EVERY_PATTERN.view(ml_dtypes.bfloat16)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        theirs = brain.astype(np.float32)
    np.testing.assert_array_equal(widen(brain), theirs)
    half = EVERY_PATTERN.view(np.float16)
    np.testing.assert_array_equal(widen(half), half.astype(np.float32))
