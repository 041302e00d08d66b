# SPDX-License-Identifier: Apache-2.0
"""Seeded values of the kinds that quantizers get wrong."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LARGEST = np.float32(np.finfo(np.float32).max)


def _normal(normal: Floats) -> Floats:
    return normal


def _uniform(normal: Floats) -> Floats:
    return np.random.default_rng(1).random(normal.shape, np.float32)


def _constant(normal: Floats) -> Floats:
    return np.full_like(normal, -0.3)


def _zero(normal: Floats) -> Floats:
    return np.where(normal < 0, np.float32(-0.0), np.float32(0))


def _one_outlier(normal: Floats) -> Floats:
    values = normal * np.float32(0.01)
    values.flat[values.size // 2 : values.size // 2 + 1] = 1000
    return values


def _denormal(normal: Floats) -> Floats:
    return normal * np.float32(2e-40)


def _least_normal(normal: Floats) -> Floats:
    return normal * np.float32(2.0**-126)


def _largest(normal: Floats) -> Floats:
    return np.where(normal < 0, -LARGEST, LARGEST)


def _largest_positive(normal: Floats) -> Floats:
    return np.where(normal < 0, np.float32(1), LARGEST)


def _mixed_magnitudes(normal: Floats) -> Floats:
    exponents = np.random.default_rng(2).integers(-60, 60, normal.shape)
    values: Floats = np.ldexp(normal, exponents).astype(np.float32)
    return values


def _ties(normal: Floats) -> Floats:
    """Halves of whole numbers, which are ties where the scale is 1."""
    values: Floats = np.rint(normal * np.float32(20)) / np.float32(2)
    values.flat[:2] = (0, 255)
    return values


def _half_subnormal_scales(normal: Floats) -> Floats:
    """Values whose int8 scale is a subnormal of float16."""
    return normal * np.float32(3e-4)


KINDS: dict[str, Callable[[Floats], Floats]] = {
    "normal": _normal,
    "uniform": _uniform,
    "constant": _constant,
    "zero": _zero,
    "one_outlier": _one_outlier,
    "denormal": _denormal,
    "least_normal": _least_normal,
    "largest": _largest,
    "largest_positive": _largest_positive,
    "mixed_magnitudes": _mixed_magnitudes,
    "ties": _ties,
    "half_subnormal_scales": _half_subnormal_scales,
}


def values_of(kind: str, shape: tuple[int, ...], seed: int = 0) -> Floats:
    """Return values of a kind, the same for the same arguments."""
    normal = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return KINDS[kind](normal)
