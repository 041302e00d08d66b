# SPDX-License-Identifier: Apache-2.0
"""Layers as Arrow tables, and what must come out of them."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import quarrow as qr
from numpy.typing import NDArray

Weights = dict[str, NDArray[Any]]
# Of which kind the result is depends on the source.
quantize: Callable[..., Any] = qr.quantize_arrow


def some_layers(count: int = 6, dtype: str = "float64") -> Weights:
    random = np.random.default_rng(3)
    return {f"l{i}": random.normal(size=(2 + i, 30 + i)).astype(dtype) for i in range(count)}


def table_of(layers: Weights, **columns: Any) -> pa.Table:
    """Return what `.tolist()` gives: lists of float64, or of the layers' own dtype."""
    values = pa.from_numpy_dtype(next(iter(layers.values())).dtype) if layers else pa.float64()
    return pa.table(
        {
            "extra": pa.array(range(len(layers)), pa.int16()),
            "layer_name": pa.array(list(layers), pa.string()),
            "weights": pa.array([w.ravel() for w in layers.values()], pa.list_(values)),
            "shape": pa.array([list(w.shape) for w in layers.values()], pa.list_(pa.int64())),
            **columns,
        }
    )


def reader_of(table: pa.Table, rows: int) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


def assert_rows_are(result: pa.Table, expected: dict[str, qr.QuantizedTensor]) -> None:
    """Compare every column with tensors, in order."""
    result.validate(full=True)
    assert result.schema.names == [
        "layer_name", "codes", "scales", "zero_points", "shape", "format", "params",
        "tensor_scale", "scale_codes", "channel_scales", "codebook",
    ]  # fmt: skip
    assert result["layer_name"].to_pylist() == list(expected)
    for row, q in zip(result.to_pylist(), expected.values(), strict=True):
        assert row["codes"] == q.codes.tobytes()
        scales = np.array(row["scales"], np.float32)
        assert scales.tobytes() == q.scales.astype(np.float32).tobytes()
        zero_points = q.zero_points
        assert row["zero_points"] == (None if zero_points is None else zero_points.ravel().tolist())
        assert row["shape"] == list(q.shape)
        assert row["format"] == q.format.name
        params = json.loads(row["params"])
        assert params.pop("dtype") == q.dtype_name
        assert qr.Format(row["format"], **params) == q.format


def singles(layers: Weights, format_: Any = "int4") -> dict[str, qr.QuantizedTensor]:
    return {name: qr.quantize(w, format_, name=name) for name, w in layers.items()}
