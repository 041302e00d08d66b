# SPDX-License-Identifier: Apache-2.0
"""A file gets the reference's bits: rows of several tiles, odd places in the file, any type."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from bit_identity import ROWWISE, assert_same_array
from checkpoints import header_bytes
from numpy.typing import NDArray
from reference import quantize
from value_kinds import values_of

SPELLINGS = {"float32": "F32", "float16": "F16", "float64": "F64", "bfloat16": "BF16"}


def write_file(path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    """Write tensors one after the other behind 3 bytes, so that none is aligned."""
    header: dict[str, Any] = {"mark": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}}
    data = b"abc"
    for name, w in tensors.items():
        begin = len(data)
        data += w.tobytes()
        header[name] = {
            "dtype": SPELLINGS[w.dtype.name],
            "shape": w.shape,
            "data_offsets": [begin, len(data)],
        }
    path.write_bytes(header_bytes(header) + data)


def read_file(path: Path) -> dict[str, tuple[str, list[int], bytes]]:
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    return {
        name: (
            entry["dtype"],
            entry["shape"],
            content[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]],
        )
        for name, entry in header.items()
    }


def typed(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    if dtype == "bfloat16":
        return values.astype(pytest.importorskip("ml_dtypes").bfloat16)
    return values.astype(dtype)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("dtype", SPELLINGS)
def test_every_weight_is_the_references(dtype: str, threads: int, tmp_path: Path) -> None:
    shapes = [(1, 1), (7, 3), (350, 1531), (3, 300_001), (60_001, 5), (1, 65_536), (2, 131_073)]
    weights = {
        f"layer{i}.weight": typed(values_of("one_outlier", shape, seed=i), dtype)
        for i, shape in enumerate(shapes)
    }
    write_file(tmp_path / "in.safetensors", weights)
    qr.quantize_file(
        tmp_path / "in.safetensors",
        tmp_path / "out.safetensors",
        "int8_rowwise",
        rules=[("", "int8_rowwise")],  # small ones too
        threads=threads,
        sync=False,
    )
    written = read_file(tmp_path / "out.safetensors")
    assert written["mark"] == ("U8", [3], b"abc")
    for name, w in weights.items():
        stored = quantize(w, ROWWISE)
        spelling, shape, data = written[name]
        assert (spelling, tuple(shape)) == ("I8", w.shape)
        assert_same_array(np.frombuffer(data, np.int8).reshape(w.shape), stored.codes)
        spelling, shape, data = written[f"{name}_scale"]
        assert (spelling, shape) == ("F32", [w.shape[0], 1])
        assert_same_array(np.frombuffer(data, np.float32).reshape(shape), stored.scales)


def test_saturated_values_of_a_file(tmp_path: Path) -> None:
    w = values_of("normal", (3, 140_001))
    w[0, 70_000], w[1, 5], w[2, -1] = np.nan, np.inf, -np.inf
    write_file(tmp_path / "in.safetensors", {"a.weight": w})
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize_file(tmp_path / "in.safetensors", tmp_path / "out", "int8_rowwise")
    assert (caught.value.name, caught.value.index, caught.value.count) == ("a.weight", 70_000, 3)
    qr.quantize_file(
        tmp_path / "in.safetensors",
        tmp_path / "out",
        "int8_rowwise",
        nonfinite="saturate",
        sync=False,
    )
    codes = np.frombuffer(read_file(tmp_path / "out")["a.weight"][2], np.int8)
    assert_same_array(codes.reshape(w.shape), quantize(w, ROWWISE).codes)
