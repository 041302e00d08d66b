# SPDX-License-Identifier: Apache-2.0
"""Layers for batches, good and bad."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def weights(*shape: int, seed: int = 5) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def some_layers(count: int = 5) -> dict[str, NDArray[np.float32]]:
    return {f"layer.{i}": weights(3 + i, 40 + i, seed=i) for i in range(count)}


def damaged(w: NDArray[np.float32]) -> NDArray[np.float32]:
    w = w.copy()
    w.flat[-1] = np.nan
    return w


class Exporter:
    """An array that runs code when it is read."""

    def __init__(self, w: NDArray[np.float32], when_read: Any) -> None:
        self._w = w
        self._when_read = when_read

    def __dlpack__(self, **_options: Any) -> Any:
        self._when_read()
        return self._w.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._w.__dlpack_device__()
