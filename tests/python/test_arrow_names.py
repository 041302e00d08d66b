# SPDX-License-Identifier: Apache-2.0
"""Names of layers that are run-end encoded."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import quarrow as qr
from arrow_layers import Weights, assert_rows_are, quantize, singles, some_layers, table_of

TEXTS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint32(), pa.large_string()),
]


def encoded(names: list[str | None], text: pa.DataType, ends: str = "int32") -> pa.Array:
    """Return a run for each name."""
    values = pa.nulls(len(names)) if text == pa.null() else pa.array(names, pa.string()).cast(text)
    return pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(names) + 1), ends), values)


@pytest.mark.parametrize("ends", ["int16", "int32", "int64"])
@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_names_of_every_encoding(text: pa.DataType, ends: str) -> None:
    words = ["a", "of twelve by", "a name beyond zw\u00f6lf bytes", "", "\u65e5\u672c", "f"]
    layers: Weights = dict(zip(words, some_layers().values(), strict=True))
    table = table_of(layers, layer_name=encoded([*words], text, ends))
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    for start, count in ((1, 3), (4, 2), (5, 1), (2, 0)):
        rest = singles(dict(list(layers.items())[start : start + count]))
        assert_rows_are(quantize(table.slice(start, count), "int4").to_pyarrow(), rest)
        batch = table.to_batches()[0].slice(start, count)
        assert_rows_are(quantize(batch, "int4").to_pyarrow(), rest)
    streamed = quantize(table.to_reader(max_chunksize=2), "int4")
    assert_rows_are(streamed.to_pyarrow(), singles(layers))


def test_values_of_runs_may_begin_further_on() -> None:
    layers = some_layers(4)
    ends = pa.array([9, 9, 1, 2, 3, 4], pa.int32()).slice(2)
    values = pa.array(["no", "nor", "this", *layers]).slice(3)
    names = pa.RunEndEncodedArray.from_arrays(ends, values)
    table = table_of(layers, layer_name=names)
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles(layers))
    rest = singles(dict(list(layers.items())[2:]))
    assert_rows_are(quantize(table.slice(2), "int4").to_pyarrow(), rest)


def test_a_name_that_is_repeated_in_a_run() -> None:
    layers = some_layers(3)
    names = pc.run_end_encode(pa.array(["a", "b", "b"]))
    with pytest.raises(
        qr.InvalidInputError, match="row 2: an earlier row has this name"
    ) as failure:
        quantize(table_of(layers, layer_name=names), "int4")
    assert failure.value.name == "b"
    # A row alone, of a run of several.
    table = table_of(layers, layer_name=names).slice(2)
    assert_rows_are(quantize(table, "int4").to_pyarrow(), singles({"b": layers["l2"]}))


@pytest.mark.parametrize("text", [*TEXTS, pa.null()], ids=str)
def test_a_run_of_nulls_is_refused(text: pa.DataType) -> None:
    layers = some_layers(3)
    names: list[str | None] = ["a", None, "c"] if text != pa.null() else [None, None, None]
    table = table_of(layers, layer_name=encoded(names, text))
    row = 1 if text != pa.null() else 0
    with pytest.raises(qr.InvalidInputError, match=f"'layer_name', row {row}: the name is null"):
        quantize(table, "int4")


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, 2, 3], "run_end_encoded<int32, int64>"),
        ([b"a", b"b", b"c"], "run_end_encoded<int32, binary>"),
        ([["a"], ["b"], ["c"]], "run_end_encoded<int32, list<string>>"),
    ],
)
def test_runs_of_no_texts_are_refused(values: list[Any], type_: str) -> None:
    names = pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3], pa.int32()), pa.array(values))
    with pytest.raises(qr.InvalidInputError, match=f"column 'layer_name': got the type {type_}"):
        quantize(table_of(some_layers(3), layer_name=names), "int4")


def test_weights_that_are_run_end_encoded_are_refused() -> None:
    weights = pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([[1.0]]))
    with pytest.raises(qr.InvalidInputError, match="got the type run_end_encoded<int32, list<"):
        quantize(pa.table({"layer_name": ["a"], "weights": weights}), "int4")
