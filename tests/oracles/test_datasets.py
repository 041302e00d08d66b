# SPDX-License-Identifier: Apache-2.0
"""Matrices of the library datasets: its extension types and its lists, read as they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from datasets import Array2D, Array4D, Dataset, Features, Sequence, Value
from numpy.typing import NDArray

Weights = dict[str, NDArray[Any]]


def weights(*shape: int) -> Weights:
    random = np.random.default_rng(0)
    return {f"l{i}": random.normal(size=shape).astype(np.float32) for i in range(6)}


def dataset(layers: Weights, feature: Any) -> Dataset:
    columns = {"layer_name": list(layers), "weights": [w.tolist() for w in layers.values()]}
    return Dataset.from_dict(
        columns, features=Features({"layer_name": Value("string"), "weights": feature})
    )


def assert_quantized(source: Any, layers: Weights) -> None:
    rows = qr.quantize_arrow(source, "int4").to_pyarrow().to_pylist()
    assert [row["layer_name"] for row in rows] == list(layers)
    for row, (name, w) in zip(rows, layers.items(), strict=True):
        q = qr.quantize(w, "int4", name=name)
        assert (row["codes"], row["shape"]) == (q.codes.tobytes(), list(w.shape))
        assert row["scales"] == q.scales.ravel().tolist()


MATRICES: dict[str, Any] = {
    "Array2D": Array2D((8, 40), "float32"),
    "lists": Sequence(Sequence(Value("float32"))),
    "lists of fixed size": Sequence(Sequence(Value("float32"), length=40), length=8),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_matrices_are_those_of_a_single_call(kind: str, tmp_path: Path) -> None:
    layers = weights(8, 40)
    made = dataset(layers, MATRICES[kind])
    assert_quantized(made.data.table, layers)
    assert_quantized(made.with_format("arrow")[:], layers)
    order = [4, 0, 5]
    chosen = {f"l{i}": layers[f"l{i}"] for i in order}
    assert_quantized(made.select(order).with_format("arrow")[:], chosen)
    made.save_to_disk(tmp_path / "saved")
    assert_quantized(Dataset.load_from_disk(tmp_path / "saved").data.table, layers)


def test_arrays_of_more_dimensions() -> None:
    layers = weights(4, 3, 3, 3)
    made = dataset(layers, Array4D((4, 3, 3, 3), "float32"))
    assert isinstance(made.data.table.schema.field("weights").type, pa.ExtensionType)
    assert_quantized(made.data.table, layers)
