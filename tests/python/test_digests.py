# SPDX-License-Identifier: Apache-2.0
"""What earlier versions made of the same values: no byte of it may change.

``python tests/python/test_digests.py`` prints the digests of the installed version. A new format
adds lines; a line that is there stays.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from safetensors.numpy import save_file

KNOWN = Path(__file__).parent.parent / "data" / "digests.json"

FIELDS: dict[str, list[dict[str, Any]]] = {
    "int8": [
        {},
        {"symmetric": True},
        {"group_size": "tensor"},
        {"group_size": 32, "scale_dtype": "float16"},
        {"rounding": "stochastic", "seed": 7},
    ],
    "int4": [
        {},
        {"group_size": 32, "symmetric": True},
        {"group_size": "row", "packed": False},
        {"group_size": 7, "scale_dtype": "bfloat16"},
        {"rounding": "stochastic", "symmetric": True},
    ],
    "int2": [
        {},
        {"group_size": 16, "symmetric": True},
        {"group_size": "tensor", "packed": False, "symmetric": True},
    ],
    "int8_rowwise": [{}],
}
SHAPES = [(3, 5), (64, 256), (300, 999), (16, 16), (1, 140_000), (0, 4), (4, 0), (9, 3, 5)]


def values(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    """Numbers that no version of numpy makes otherwise, with a few large ones."""
    index = np.arange(int(np.prod(shape)), dtype=np.uint64)
    mixed = (index * np.uint64(2654435761) + np.uint64(12345)) % np.uint64(1 << 32)
    unit = mixed.astype(np.float64) / 2**31 - 1
    return (unit * unit * unit).astype(dtype).reshape(shape)


def digest(parts: Iterable[Any]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    return total.hexdigest()[:16]


def of_arrays(format: qr.Format) -> Iterator[tuple[str, str]]:
    for dtype in ("float32", "float16", "float64"):
        for shape in SHAPES:
            q = qr.quantize(values(shape, dtype), format, name="layer")
            yield (
                f"{format!r} {dtype} {shape}",
                digest((q.codes, q.scales, q.zero_points, q.dequantize("float16"))),
            )


def layers() -> dict[str, np.ndarray[Any, Any]]:
    return {
        f"blocks.{i}.proj.weight": values((64 + 32 * i, 256), dtype)
        for i, dtype in enumerate(("float32", "float16", "float32"))
    } | {"blocks.0.norm.weight": values((256,), "float32")}


def of_ways(format: qr.Format, folder: Path) -> Iterator[tuple[str, str]]:
    tensors = layers()
    matrices = {name: each for name, each in tensors.items() if each.ndim == 2}
    batch = qr.quantize_batch(matrices, format)
    yield (
        f"batch {format!r}",
        digest(part for q in batch.values() for part in (q.codes, q.scales, q.zero_points)),
    )
    rows = pa.table(
        {
            "layer_name": ["a", "b"],
            "weights": pa.array(list(values((2, 512), "float32"))),
            "shape": [[2, 256], [512]],
        }
    )
    table = pa.table(qr.quantize_arrow(rows, format))
    # Columns that came later are null for these formats.
    columns = table.select(table.column_names[:7])
    yield f"arrow {format!r}", digest(repr(each).encode() for each in columns.to_pylist())
    save_file(tensors, folder / "in.safetensors")
    if format.group_size != "tensor":
        state = qr.quantize_state_dict(tensors, format)
        yield (
            f"state dict {format!r}",
            digest(part for name in sorted(state) for part in (name.encode(), state[name])),
        )
    qr.quantize_file(folder / "in.safetensors", folder / "out.safetensors", format, runtime="none")
    yield f"file {format!r}", digest([(folder / "out.safetensors").read_bytes()])
    qr.dequantize_file(folder / "out.safetensors", folder / "back.safetensors")
    yield f"restored {format!r}", digest([(folder / "back.safetensors").read_bytes()])


def formats() -> list[qr.Format]:
    return [qr.Format(name, **fields) for name, each in FIELDS.items() for fields in each]


@pytest.mark.parametrize("format", formats(), ids=repr)
def test_no_byte_has_changed(format: qr.Format, tmp_path: Path) -> None:
    known = json.loads(KNOWN.read_text())
    made = dict(of_arrays(format)) | dict(of_ways(format, tmp_path))
    assert made == {name: known.get(name) for name in made}


if __name__ == "__main__":
    import tempfile

    everything: dict[str, str] = {}
    for each in formats():
        with tempfile.TemporaryDirectory() as folder:
            everything |= dict(of_arrays(each)) | dict(of_ways(each, Path(folder)))
    print(json.dumps(everything, indent=0, sort_keys=True))
