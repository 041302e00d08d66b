# SPDX-License-Identifier: Apache-2.0
"""Arrow schemas without an end, and texts of producers that are no UTF-8."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from arrow_layers import quantize
from arrow_producer import RELEASE, Change, Producer, Schema

# Structs and pointers that a schema points to must live as long as it does.
KEPT: list[Any] = []


def pointers(targets: list[Any]) -> Any:
    made = (ctypes.POINTER(Schema) * len(targets))(*map(ctypes.pointer, targets))
    KEPT.append((made, targets))
    return made


# The test owns them.
nothing = RELEASE(lambda _: None)


def nested(levels: int, format_: bytes = b"+l", *, dictionary: bool = False) -> Schema:
    """Make a schema of so many levels, the last one of float32."""
    outer = Schema(format=format_, name=b"x", release=nothing, n_children=0 if dictionary else 1)
    item = Schema(format=b"f", name=b"item", release=nothing)
    # As numbers: one by one, 200,000 structs would take seconds.
    schemas = np.tile(np.frombuffer(bytes(outer), np.uint64), (levels, 1))
    schemas[-1] = np.frombuffer(bytes(item), np.uint64)
    below = schemas.ctypes.data + schemas.strides[0] * np.arange(1, levels, dtype=np.uint64)
    if dictionary:
        schemas[:-1, Schema.dictionary.offset // 8] = below
    else:
        pointers_to_it = below.ctypes.data + 8 * np.arange(levels - 1, dtype=np.uint64)
        schemas[:-1, Schema.children.offset // 8] = pointers_to_it
    KEPT.append((outer, item, schemas, below))
    return Schema.from_address(schemas.ctypes.data)


def cyclic(*, children: int, dictionary: bool = False) -> Schema:
    schema = Schema(format=b"+s", name=b"x", release=nothing)
    KEPT.append(schema)
    if dictionary:
        schema.dictionary = ctypes.pointer(schema)
    schema.n_children = children
    schema.children = pointers([schema] * children)
    return schema


def doubled(levels: int) -> Schema:
    """Make a schema of few levels whose fields double on each: 2 to the power of `levels`."""
    schema = Schema(format=b"f", name=b"item", release=nothing)
    for _ in range(levels):
        outer = Schema(format=b"+s", name=b"x", release=nothing, n_children=2)
        outer.children = pointers([schema, schema])
        schema = outer
    KEPT.append(schema)
    return schema


def with_column(which: int, column: Schema) -> Change:
    """Replace a column, or add one that is not looked at."""

    def change(schema: Any) -> None:
        columns = [schema.children[i].contents for i in range(schema.n_children)]
        column.name = columns[which].name if which < len(columns) else b"more"
        columns[which : which + 1] = [column]
        schema.children, schema.n_children = pointers(columns), len(columns)

    return change


ENDLESS: dict[str, Callable[[], Schema]] = {
    "200,000 lists": lambda: nested(200_000),
    "200,000 dictionaries": lambda: nested(200_000, b"i", dictionary=True),
    "itself": lambda: cyclic(children=1),
    "itself twice": lambda: cyclic(children=2),
    "itself as its dictionary": lambda: cyclic(children=0, dictionary=True),
    "itself in every way": lambda: cyclic(children=3, dictionary=True),
    "doubled": lambda: doubled(60),
}


@pytest.mark.parametrize("column", [0, 1, 2], ids=["names", "weights", "another"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_schema_without_an_end_is_refused(kind: str, column: int) -> None:
    change = with_column(column, ENDLESS[kind]())
    for source in (Producer(schema=change), Producer(schema=change).pair()):
        with pytest.raises(
            qr.InvalidInputError, match="nested deeper than 64 levels, contains itself, or has more"
        ):
            quantize(source, "int8")
    assert len(quantize(Producer().pair(), "int8")) == 2


def test_the_schema_itself_may_be_endless() -> None:
    def into_itself(schema: Any) -> None:
        schema.children[1] = ctypes.pointer(schema)

    with pytest.raises(qr.InvalidInputError, match="contains itself"):
        quantize(Producer(schema=into_itself), "int8")


def test_64_levels_are_read() -> None:
    """A column that is not looked at may have 63 below the record batch's own."""
    source = Producer(schema=with_column(2, nested(63)))
    with pytest.raises(qr.InvalidInputError, match="lack parts"):
        # Only the arrays: they have no such column.
        list(quantize(source, "int8"))
    with pytest.raises(qr.InvalidInputError, match="deeper than 64"):
        quantize(Producer(schema=with_column(2, nested(64))), "int8")
    with pytest.raises(qr.InvalidInputError, match="column 'weights': the Arrow data lack parts"):
        quantize(Producer(schema=with_column(1, nested(63))).pair(), "int8")


def test_a_claimed_number_of_fields_is_not_walked_through() -> None:
    def claim(schema: Any) -> None:
        schema.children[1].contents.n_children = 2**62

    with pytest.raises(qr.InvalidInputError, match="more than 1048576 fields"):
        quantize(Producer(schema=claim), "int8")


# Texts of a producer.

BYTES = b"\xff\xfe\x80"
SHOWN = r"\\xff\\xfe\\x80"


def set_text(field: str, column: int | None) -> Change:
    def change(schema: Any) -> None:
        target = schema if column is None else schema.children[column].contents
        setattr(target, field, BYTES)

    return change


def set_zone(schema: Any) -> None:
    """Make a timestamp, whose format holds a text of the producer."""
    schema.format = b"tsu:" + BYTES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_text("format", None), "got Arrow data of type unknown; pass a table"),
        (set_text("format", 0), "column 'layer_name': got the type unknown; accepted are"),
        (set_text("format", 1), "column 'weights': got the type unknown; accepted are"),
        (set_zone, rf"got Arrow data of type timestamp\[us, tz={SHOWN}\]"),
        (set_text("name", 0), f"no such column; the columns are: {SHOWN}, weights"),
        (set_text("name", 1), f"no such column; the columns are: layer_name, {SHOWN}"),
    ],
)
def test_texts_that_are_no_utf8_are_shown_as_bytes(change: Change, said: str) -> None:
    for source in (Producer(schema=change), Producer(schema=change).pair()):
        with pytest.raises(qr.InvalidInputError, match=said):
            quantize(source, "int8")


def test_an_error_of_a_stream_that_is_no_utf8_is_shown_as_bytes() -> None:
    producer = Producer(fail=0, message=BYTES)
    with pytest.raises(OSError, match=f"the Arrow stream failed: {SHOWN}") as caught:
        list(quantize(producer, "int8"))
    assert caught.value.errno == 5
    with pytest.raises(qr.InvalidInputError, match=f"the Arrow stream failed: {SHOWN}"):
        list(quantize(Producer(fail=0, message=BYTES, errno=22), "int8"))


def test_the_name_of_a_column_that_no_file_can_have_is_refused() -> None:
    for role in ("name_column", "weights_column", "shape_column"):
        with pytest.raises(qr.InvalidInputError, match=role):
            quantize(Producer().pair(), "int8", **{role: "\ud800"})


@pytest.mark.parametrize("index", [b"", b"u", b"f", b"ii", b"\xff"])
def test_a_dictionary_of_no_indices_is_refused(index: bytes) -> None:
    column = nested(2, index, dictionary=True)
    column.dictionary.contents.format = b"u"
    with pytest.raises(qr.InvalidInputError, match="'layer_name': got the type dictionary<string>"):
        quantize(Producer(schema=with_column(0, column)), "int8")
