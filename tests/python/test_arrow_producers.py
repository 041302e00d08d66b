# SPDX-License-Identifier: Apache-2.0
"""Producers of Arrow data: what they lend comes back once; what lacks a part is refused."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from arrow_layers import quantize, reader_of, singles, some_layers, table_of
from arrow_producer import RELEASE, Change, Producer


def expected(producer: Producer) -> dict[str, qr.QuantizedTensor]:
    return singles({"a": producer.values[:3], "bc": producer.values[3:]}, "int8")


def test_what_is_right_is_read_where_it_lies() -> None:
    producer = Producer()
    result = quantize(producer.pair(), "int8")
    codes = [q.codes.tobytes() for q in expected(producer).values()]
    assert result.to_pyarrow()["codes"].to_pylist() == codes


# What is lent comes back.


def whole_array(producer: Producer) -> None:
    quantize(producer.pair(), "int8")


def whole_stream(producer: Producer) -> None:
    assert len(list(quantize(producer, "int8"))) == 3


def dropped_stream(producer: Producer) -> None:
    next(iter(quantize(producer, "int8")))


def unread_stream(producer: Producer) -> None:
    quantize(producer, "int8")


def consumed_elsewhere(producer: Producer) -> None:
    assert pa.RecordBatchReader.from_stream(quantize(producer, "int8")).read_all().num_rows == 6


def wrong_layer(producer: Producer) -> None:
    producer.values[2] = np.nan
    with pytest.raises(qr.NonFiniteError):
        quantize(producer.pair(), "int8")
    with pytest.raises(qr.NonFiniteError):
        next(iter(quantize(producer, "int8")))
    assert len(quantize(producer.pair(), "int8", on_error="skip").errors) == 1


def wrong_column(producer: Producer) -> None:
    for source in (producer, producer.pair()):
        with pytest.raises(qr.InvalidInputError, match="no such column"):
            quantize(source, "int8", weights_column="x")


def interrupted(producer: Producer) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(producer.pair(), "int8", progress=stop)


@pytest.mark.parametrize(
    "use",
    [
        whole_array, whole_stream, dropped_stream, unread_stream, consumed_elsewhere, wrong_layer,
        wrong_column, interrupted,
    ],
)  # fmt: skip
def test_what_was_lent_is_released_once(use: Callable[[Producer], None]) -> None:
    producer = Producer(batches=3)
    use(producer)
    gc.collect()
    assert producer.released == producer.given


def test_a_stream_that_fails_is_released_once_and_says_where() -> None:
    producer = Producer(batches=3, fail=1)
    stream = iter(quantize(producer, "int8"))
    assert len(next(stream)) == 2
    with pytest.raises(OSError, match="the Arrow stream failed: ") as failure:
        next(stream)
    assert failure.value.errno == 5
    del stream, failure
    gc.collect()
    assert producer.released == producer.given == {"stream": 1, "schema": 1, "array": 1}


def test_an_exhausted_stream_stays_exhausted() -> None:
    stream = quantize(Producer(), "int8")
    assert len(list(stream)) == 1
    assert list(stream) == []
    assert pa.table(stream).num_rows == 0


def test_a_batch_after_one_that_failed_has_its_own_number() -> None:
    layers = some_layers()
    for name in ("l1", "l4"):
        layers[name][0, 0] = np.nan
    stream = iter(quantize(reader_of(table_of(layers), 1), "int8"))
    said = []
    for _ in layers:
        try:
            next(stream)
        except qr.NonFiniteError as error:
            said.append(str(error).split(":")[0])
    assert said == ["batch 1", "batch 4"]


# What they leave out.


def column(struct: Any, which: int) -> Any:
    return struct.children[which].contents


def item(struct: Any) -> Any:
    return column(struct, 1).children[0].contents


def without(field: str) -> Change:
    """Set a pointer to null; a pointer to functions or structs has its own type."""

    def change(struct: Any) -> None:
        setattr(struct, field, type(getattr(struct, field))())

    return change


def no_child(struct: Any, which: int) -> None:
    struct.children[which] = type(struct.children[which])()


BROKEN_SCHEMAS: dict[str, Change] = {
    "no format": lambda s: setattr(s, "format", None),
    "a column without a format": lambda s: setattr(column(s, 1), "format", None),
    "items without a format": lambda s: setattr(item(s), "format", None),
    "no children": without("children"),
    "a column that is null": lambda s: no_child(s, 0),
    "items that are null": lambda s: no_child(column(s, 1), 0),
    "a column that was moved out": lambda s: without("release")(column(s, 0)),
    "a negative number of children": lambda s: setattr(s, "n_children", -1),
}

BROKEN_ARRAYS: dict[str, Change] = {
    "fewer children": lambda a: setattr(a, "n_children", 1),
    "more children": lambda a: setattr(a, "n_children", 3),
    "no children": without("children"),
    "names that are null": lambda a: no_child(a, 0),
    "weights that are null": lambda a: no_child(a, 1),
    "names that were moved out": lambda a: without("release")(column(a, 0)),
    "weights that were moved out": lambda a: without("release")(column(a, 1)),
    "items that are null": lambda a: no_child(column(a, 1), 0),
    "items that were moved out": lambda a: without("release")(item(a)),
    "names without buffers": lambda a: without("buffers")(column(a, 0)),
    "too few buffers of names": lambda a: setattr(column(a, 0), "n_buffers", 2),
    "too few buffers of weights": lambda a: setattr(column(a, 1), "n_buffers", 1),
    "too few buffers of items": lambda a: setattr(item(a), "n_buffers", 1),
    "names without offsets": lambda a: column(a, 0).buffers.__setitem__(1, None),
    "weights without offsets": lambda a: column(a, 1).buffers.__setitem__(1, None),
    "items without values": lambda a: item(a).buffers.__setitem__(1, None),
    "a negative length": lambda a: setattr(a, "length", -1),
    "a negative offset": lambda a: setattr(a, "offset", -1),
    "an offset beyond all": lambda a: setattr(a, "offset", 2**63 - 1),
    "a negative length of a column": lambda a: setattr(column(a, 1), "length", -1),
    "a negative offset of a column": lambda a: setattr(column(a, 0), "offset", -2),
    "a negative length of the items": lambda a: setattr(item(a), "length", -7),
    "a negative offset of the items": lambda a: setattr(item(a), "offset", -7),
}


BROKEN: dict[str, dict[str, Any]] = {
    **{f"schema: {name}": {"schema": change} for name, change in BROKEN_SCHEMAS.items()},
    **{f"array: {name}": {"array": change} for name, change in BROKEN_ARRAYS.items()},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("way", ["array", "stream"])
def test_what_lacks_a_part_is_refused(changes: dict[str, Any], way: str) -> None:
    """Also where layers are skipped: there is no layer yet."""
    producer = Producer(**changes)
    on_error = "skip" if way == "stream" else "raise"
    with pytest.raises(qr.InvalidInputError, match="lack parts that their type has"):
        list(quantize(producer.pair() if way == "array" else producer, "int8", on_error=on_error))
    assert producer.released == producer.given
    assert len(quantize(Producer().pair(), "int8")) == 2


def test_a_column_that_is_shorter_than_its_batch_is_refused() -> None:
    changes: list[Change] = [
        lambda a: setattr(column(a, 0), "length", 1),
        lambda a: setattr(column(a, 1), "length", 1),
    ]
    for change in changes:
        producer = Producer(array=change)
        with pytest.raises(qr.InvalidInputError, match="row 1: an offset points outside"):
            quantize(producer.pair(), "int8")


@pytest.mark.parametrize("field", ["get_schema", "get_next"])
def test_a_stream_without_functions_is_refused(field: str) -> None:
    producer = Producer(stream=without(field))
    with pytest.raises(qr.InvalidInputError, match="lacks its functions"):
        quantize(producer, "int8")
    assert producer.released == producer.given


def test_a_stream_without_messages_has_the_systems() -> None:
    producer = Producer(stream=without("get_last_error"), fail=0)
    with pytest.raises(OSError, match="Input/output error"):
        list(quantize(producer, "int8"))


def test_a_schema_that_was_released_is_refused() -> None:
    def release(schema: Any) -> None:
        schema.release = RELEASE(0)

    with pytest.raises(qr.InvalidInputError, match="lack parts"):
        quantize(Producer(schema=release), "int8")
