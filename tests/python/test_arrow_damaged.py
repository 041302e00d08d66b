# SPDX-License-Identifier: Apache-2.0
"""Arrow data whose offsets, sizes and run ends are wrong: refused, never followed."""

from typing import Any

import numpy as np
import pytest
import quarrow as qr
from arrow_layers import quantize
from arrow_producer import Part, Producer
from numpy.typing import NDArray

VALUES = np.linspace(-1, 1, 12, dtype=np.float32)
OUTSIDE = "an offset points outside of its data"
MISSING = "lack parts that their type has"

Numbers = NDArray[Any] | None


def array(numbers: list[int] | None, dtype: str) -> Numbers:
    return None if numbers is None else np.array(numbers, dtype)


def names(count: int, name: bytes = b"layer_name") -> Part:
    text = np.frombuffer(b"abcdefgh", np.uint8)
    return Part(b"u", count, [None, np.arange(count + 1, dtype=np.int32), text], name=name)


def floats(length: int = 12) -> Part:
    return Part(b"f", length, [None, VALUES])


def views(kind: bytes, begins: list[int] | None, sizes: list[int] | None, below: Part) -> Part:
    dtype = "int32" if kind == b"+vl" else "int64"
    length = len(begins or sizes or [])
    return Part(kind, length, [None, array(begins, dtype), array(sizes, dtype)], [below])


def producer(column: Part, name: bytes = b"weights") -> Producer:
    column.name = name
    if name == b"layer_name":
        weights = Part(b"+w:1", 4, [None], [floats()], b"weights")
        return Producer(columns=[column, weights])
    return Producer(columns=[names(column.length), column])


def refused(source: Producer, said: str) -> None:
    """In every way in, and what was lent comes back."""
    with pytest.raises(qr.InvalidInputError, match=said):
        quantize(source.pair(), "int8")
    with pytest.raises(qr.InvalidInputError, match=said):
        list(quantize(source, "int8"))
    assert source.released == source.given


def test_what_is_right_is_read() -> None:
    for kind in (b"+vl", b"+vL"):
        source = producer(views(kind, [8, 0], [4, 12], floats()))
        codes = quantize(source.pair(), "int8").to_pyarrow()["codes"].to_pylist()
        expected = [qr.quantize(w, "int8").codes.tobytes() for w in (VALUES[8:], VALUES)]
        assert codes == expected


WRONG_VIEWS: dict[str, tuple[list[int] | None, list[int] | None, str]] = {
    "a negative offset": ([0, -1], [4, 4], OUTSIDE),
    "the least offset": ([0, -(2**31)], [4, 4], OUTSIDE),
    "a negative size": ([0, 4], [4, -1], OUTSIDE),
    "the least size": ([0, 0], [4, -(2**31)], OUTSIDE),
    "an offset beyond the items": ([0, 13], [4, 0], OUTSIDE),
    "a size beyond the items": ([0, 4], [4, 9], OUTSIDE),
    "both as large as can be": ([0, 2**31 - 1], [4, 2**31 - 1], OUTSIDE),
    "no offsets": (None, [4, 4], MISSING),
    "no sizes": ([0, 4], None, MISSING),
}


@pytest.mark.parametrize("wrong", WRONG_VIEWS)
@pytest.mark.parametrize("kind", [b"+vl", b"+vL"])
def test_views_outside_of_their_items_are_refused(kind: bytes, wrong: str) -> None:
    begins, sizes, said = WRONG_VIEWS[wrong]
    refused(producer(views(kind, begins, sizes, floats())), said)


@pytest.mark.parametrize("wrong", WRONG_VIEWS)
@pytest.mark.parametrize("kind", [b"+vl", b"+vL"])
def test_rows_outside_of_their_items_are_refused(kind: bytes, wrong: str) -> None:
    begins, sizes, said = WRONG_VIEWS[wrong]
    rows = views(kind, begins, sizes, floats())
    refused(producer(Part(b"+w:2", 1, [None], [rows])), said)


def test_views_of_64_bits_as_large_as_can_be_are_refused() -> None:
    for begin, size in ((2**63 - 1, 2**63 - 1), (2**63 - 4, 4), (4, 2**63 - 4), (-(2**63), 4)):
        refused(producer(views(b"+vL", [0, begin], [4, size], floats())), OUTSIDE)


@pytest.mark.parametrize("offsets", [[0, 4, 13], [0, 8, 4], [-1, 4, 8], [0, 2**31 - 1, 2**31 - 1]])
def test_rows_of_wrong_offsets_are_refused(offsets: list[int]) -> None:
    rows = Part(b"+l", 2, [None, array(offsets, "int32")], [floats()])
    refused(producer(Part(b"+w:2", 1, [None], [rows])), OUTSIDE)
    rows = Part(b"+L", 2, [None, array(offsets, "int64")], [floats()])
    refused(producer(Part(b"+w:2", 1, [None], [rows])), OUTSIDE)


@pytest.mark.parametrize(("outer", "inner"), [(3, 6), (4, 4), (2**62, 2), (2, 2**62), (2**62, 0)])
def test_lists_of_fixed_size_beyond_their_items_are_refused(outer: int, inner: int) -> None:
    rows = Part(b"+w:%d" % inner, 3, [None], [floats()])
    refused(producer(Part(b"+w:%d" % outer, 1, [None], [rows])), OUTSIDE)


def test_the_offsets_of_every_level_count() -> None:
    numbers = Part(b"f", 9, [None, VALUES], offset=3)
    rows = Part(b"+w:2", 3, [None], [numbers], offset=1)
    source = producer(Part(b"+w:1", 1, [None], [rows], offset=1))
    result = quantize(source.pair(), "int8").to_pyarrow()
    assert result["shape"].to_pylist() == [[1, 2]]
    # Before it lie 3 numbers, a row of 2, and a weight of such a row.
    assert result["codes"].to_pylist() == [qr.quantize(VALUES[7:9], "int8").codes.tobytes()]


def runs(ends: list[int] | None, kind: bytes, values: int = 3, dtype: str | None = None) -> Part:
    width = dtype or {b"s": "int16", b"i": "int32", b"l": "int64"}[kind]
    length = 3 if ends is None else len(ends)
    run_ends = Part(kind, length, [None, array(ends, width)], name=b"run_ends")
    return Part(b"+r", 4, [], [run_ends, names(values, b"values")])


RUNS = "its runs are damaged: their ends must increase"


@pytest.mark.parametrize(
    ("ends", "values", "said"),
    [
        ([1, 2, 3], 3, RUNS),
        ([1, 1, 4], 3, RUNS),
        ([2, 1, 4], 3, RUNS),
        ([4, 2, 1], 3, RUNS),
        ([0, 2, 4], 3, RUNS),
        ([-1, 2, 4], 3, RUNS),
        ([], 3, RUNS),
        ([1, 2, 3, 4], 3, RUNS),
        (None, 3, MISSING),
    ],
)
@pytest.mark.parametrize("kind", [b"s", b"i", b"l"])
def test_wrong_run_ends_are_refused(
    kind: bytes, ends: list[int] | None, values: int, said: str
) -> None:
    refused(producer(runs(ends, kind, values), b"layer_name"), f"column 'layer_name'.*{said}")


@pytest.mark.parametrize("kind", [b"c", b"I", b"f", b"+r", b"xyz"])
def test_run_ends_of_another_type_are_refused(kind: bytes) -> None:
    source = producer(runs([1, 2, 4], kind, dtype="int64"), b"layer_name")
    refused(source, "column 'layer_name': got the type run_end_encoded<.*, string>; accepted are")


def test_names_of_runs_are_read() -> None:
    source = producer(runs([1, 2, 3, 4], b"i", 4), b"layer_name")
    made = quantize(source.pair(), "int8").to_pyarrow()
    assert made["layer_name"].to_pylist() == ["a", "b", "c", "d"]
