# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files for tests: of real geometry, and byte by byte."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def write_zeros(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> Path:
    """Write a sparse file: name to dtype, shape and bytes; the data is zeros and takes no disk."""
    header, end = {}, 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    with path.open("wb") as file:
        file.write(header_bytes(header))
        file.truncate(file.tell() + end)
    return path
