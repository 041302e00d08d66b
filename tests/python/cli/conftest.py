# SPDX-License-Identifier: Apache-2.0
import json
import struct
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cli_process import run_on_pipes
from safetensors.numpy import save_file

Tensors = Mapping[str, npt.NDArray[np.generic]]


@pytest.fixture
def run_cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `quarrow` in the test's folder."""
    return partial(run_on_pipes, tmp_path)


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[[Tensors], Path]:
    """Write `model.safetensors` into the test's folder."""

    def write(tensors: Tensors) -> Path:
        path = tmp_path / "model.safetensors"
        save_file(dict(tensors), path)
        return path

    return write


@pytest.fixture
def model(write_model: Callable[[Tensors], Path]) -> Path:
    """Return a small checkpoint: two matrices, a bias and a convolution."""
    random = np.random.default_rng(0)
    return write_model(
        {
            "block.q.weight": random.standard_normal((64, 96)).astype(np.float16),
            "block.k.weight": 3 * random.standard_normal((32, 96)).astype(np.float32),
            "block.q.bias": random.standard_normal(64).astype(np.float16),
            "conv.weight": random.standard_normal((8, 4, 3, 3)).astype(np.float16),
        }
    )


@pytest.fixture
def huge_model(tmp_path: Path) -> Path:
    """Return a file of 4 GB of zeros: long enough to stop a job half way, but no load on a disk."""
    shape = (1 << 15, 1 << 15)
    size = 4 * shape[0] * shape[1]
    header = json.dumps(
        {"huge.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}
    ).encode()
    header += b" " * (-len(header) % 8)
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    return path
