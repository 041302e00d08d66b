# SPDX-License-Identifier: Apache-2.0
"""GGUF files as gguf-py, the library of llama.cpp, writes and reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def write(
    path: Path, tensors: Mapping[str, Array | tuple[str, Sequence[int]]], **values: Any
) -> Path:
    """Write a file of arrays, and of blocks where a type of ggml and a shape are given.

    A value is a string, a list, or a method of gguf-py's writer with what it takes. The first "_"
    in its name stands for ".".
    """
    writer = gguf.GGUFWriter(path, "flux")
    for name, value in values.items():
        key = name.replace("_", ".", 1)
        if isinstance(value, tuple):
            getattr(writer, value[0])(key, value[1])
        elif isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_string(key, value)
    for name, array in tensors.items():
        if isinstance(array, tuple):
            kind = gguf.GGMLQuantizationType[array[0]]
            writer.add_tensor(name, blocks(array[0], array[1]), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def blocks(kind: str, shape: Sequence[int]) -> Array:
    """Return the bytes of a tensor of blocks, the same for the same arguments."""
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    row_bytes = shape[-1] // elements * size
    return np.random.default_rng(1).integers(0, 256, (*shape[:-1], row_bytes), np.uint8)


def read(path: Path) -> tuple[dict[str, tuple[str, tuple[int, ...], bytes]], dict[str, Any]]:
    """Read a file: type, shape with the rows first and bytes of each tensor; the keys."""
    reader = gguf.GGUFReader(path)
    tensors = {
        each.name: (
            each.tensor_type.name,
            tuple(reversed(each.shape.tolist())),
            each.data.tobytes(),
        )
        for each in reader.tensors
    }
    keys = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.")
    }
    return tensors, keys
