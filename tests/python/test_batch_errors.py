# SPDX-License-Identifier: Apache-2.0
"""Layers of a batch that cannot be quantized, and calls that are none."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from batch_layers import Exporter, damaged, weights


@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_failing_layer_is_the_one_that_is_raised(threads: int) -> None:
    """Whether it cannot be read, or turns out to have NaN only when it is computed."""
    good, bad = weights(300, 600), damaged(weights(300, 600))
    with pytest.raises(qr.NonFiniteError, match="layer 'b': 1 value is NaN") as failure:
        qr.quantize_batch({"a": good, "b": bad, "c": [1.0], "d": bad}, "int4", threads=threads)
    assert (failure.value.name, failure.value.index) == ("b", bad.size - 1)
    with pytest.raises(qr.InvalidInputError, match="layer 'c': got list") as wrong:
        qr.quantize_batch({"a": good, "c": [1.0], "b": bad}, "int4", threads=threads)
    assert wrong.value.name == "c"


def test_each_error_is_what_the_single_call_raises() -> None:
    layers = {
        "nan": damaged(weights(3, 4)),
        "list": [1.0],
        "int": np.arange(4),
        "transposed": weights(3, 4).T,
        "overflow": np.array([[3e38, -3e38]], np.float32),
        "none": None,
        "0-d": np.float32(3),
        "\ud800": weights(2, 2),
    }
    r = qr.quantize_batch({"good": weights(2, 2), **layers}, "int4", on_error="skip")
    assert list(r) == ["good"]
    assert list(r.errors) == list(layers)
    for name, w in layers.items():
        with pytest.raises(qr.InvalidInputError) as single:
            qr.quantize(w, "int4", name=name)
        assert r.errors[name] == single.value
        assert name not in r
        with pytest.raises(type(single.value)) as batch:
            qr.quantize_batch({name: w}, "int4")
        assert batch.value == single.value


def test_skipping_leaves_the_other_layers_as_they_would_be() -> None:
    layers = {f"l{i}": weights(9, 64, seed=i) for i in range(60)}
    for i in range(0, 60, 7):
        layers[f"l{i}"] = damaged(layers[f"l{i}"])
    r = qr.quantize_batch(layers, "int8_rowwise", on_error="skip")
    assert set(r.errors) == {f"l{i}" for i in range(0, 60, 7)}
    assert dict(r) == {
        name: qr.quantize(w, "int8_rowwise") for name, w in layers.items() if name not in r.errors
    }


def test_saturating_is_as_in_the_single_call() -> None:
    w = damaged(weights(4, 64))
    r = qr.quantize_batch({"a": w}, "int4", nonfinite="saturate")
    assert r["a"] == qr.quantize(w, "int4", nonfinite="saturate")


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (None, "NoneType"),
        (3, "int"),
        ("abc", "str"),
        (np.zeros((2, 3), np.float32), r"for one array call quarrow\.quantize"),
        (b"abc", "bytes"),
        ([3], "item 0 is 3"),
        ([("a", weights(2)), ("b",)], r"item 1 is \('b',\)"),
        ({1: weights(2)}, "must be a str, not 1"),
        ([("a", weights(2)), ("a", weights(2))], "layer 'a': an earlier layer has this name"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_what_is_no_batch_is_refused(layers: Any, said: str, on_error: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=said):
        qr.quantize_batch(layers, "int4", on_error=on_error)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_error": "ignore"},
        {"on_error": None},
        {"progress": 3},
        {"copy": 1},
        {"nonfinite": "skip"},
        {"threads": 0},
        {"group_size": 0},
        {"rules": 3},
        {"rules": [("(", None)]},
        {"rules": ["int8"]},
    ],
)
@pytest.mark.parametrize("layers", [{}, {"a": weights(2, 2)}])
def test_wrong_options_are_refused_also_for_an_empty_batch(wrong: Any, layers: Any) -> None:
    with pytest.raises(qr.InvalidInputError, match=next(iter(wrong))[:4]):
        qr.quantize_batch(layers, "int4", **wrong)


@pytest.mark.parametrize(
    "wrong", [{"format": "int5"}, {"format": "int8_rowwise", "group_size": 3}, {"bits": 4}]
)
def test_unknown_formats_are_refused_also_for_an_empty_batch(wrong: dict[str, Any]) -> None:
    with pytest.raises(qr.UnsupportedFormatError):
        qr.quantize_batch({}, **{"format": "int4", **wrong})
    with pytest.raises(qr.UnsupportedFormatError, match="int8"):
        qr.quantize_batch({}, "int4", rules=[("a", "int88")])


def test_an_exception_while_the_layers_come_is_passed_on() -> None:
    def pairs() -> Iterator[tuple[str, Any]]:
        yield "a", weights(2, 2)
        raise RuntimeError("no more")  # noqa: EM101

    with pytest.raises(RuntimeError, match="no more"):
        qr.quantize_batch(pairs(), "int4", on_error="skip")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qr.quantize_batch({"a": Exporter(weights(2), interrupt)}, "int4", on_error="skip")
