# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files for tests: of real geometry, and byte by byte."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

SUPPORT = Path(__file__).resolve().parent


def make_checkpoint(manifest: str, path: Path, *selection: str) -> Path:
    """Write the geometry of a published checkpoint with seeded values; see make_checkpoint.py."""
    script = SUPPORT / "make_checkpoint.py"
    source = SUPPORT / "manifests" / f"{manifest}.json"
    subprocess.run(
        [sys.executable, script, source, path, *selection], check=True, capture_output=True
    )
    return path


def header_bytes(header: Mapping[str, Any]) -> bytes:
    """Return the length field and the JSON of a safetensors header."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_zeros(
    path: Path,
    tensors: Mapping[str, tuple[str, tuple[int, ...], int]],
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a sparse file: name to dtype, shape and bytes; the data is zeros and takes no disk."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    with path.open("wb") as file:
        file.write(header_bytes(header))
        file.truncate(file.tell() + end)
    return path


def raw_tensors(path: Path) -> tuple[dict[str, tuple[str, tuple[int, ...], bytes]], Any]:
    """Read a file without quarrow and without numpy's idea of dtypes."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    metadata = header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["dtype"], tuple(entry["shape"]), data[begin:end])
    return tensors, metadata


def as_array(dtype: str, shape: tuple[int, ...], data: bytes) -> npt.NDArray[Any]:
    """Return a float tensor of raw_tensors as an array."""
    if dtype == "BF16":
        ml_dtypes = pytest.importorskip("ml_dtypes")
        return np.frombuffer(data, ml_dtypes.bfloat16).reshape(shape)
    numpy_dtype = {"F16": np.float16, "F32": np.float32, "F64": np.float64}[dtype]
    return np.frombuffer(data, numpy_dtype).reshape(shape)
