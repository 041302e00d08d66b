# SPDX-License-Identifier: Apache-2.0
"""FBGEMM's row-wise quantizers, the fastest peers, where torch is installed."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

INSTALLED = importlib.util.find_spec("torch") is not None
if INSTALLED:
    import torch


def torch_tensor(w: NDArray[np.float32]) -> Any:
    """View `w` as a torch tensor."""
    return torch.from_numpy(w)


def fbgemm(format_: str, w: NDArray[np.float32], threads: int) -> Callable[[], object]:
    """Return the job nearest to a format: 4 bits in rows of 128, or 8 bits a row."""
    torch.set_num_threads(threads)
    if format_ == "int4":
        rows = torch.from_numpy(w).reshape(-1, 128)
        return lambda: torch.ops.quantized.embedding_bag_4bit_prepack(rows)
    tensor = torch.from_numpy(w)
    return lambda: torch.ops.quantized.embedding_bag_byte_prepack(tensor)
