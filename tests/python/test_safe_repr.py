# SPDX-License-Identifier: Apache-2.0
"""What messages show of an object: its repr, unless that fails or is endless."""

import sys
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from quarrow.safe_repr import safe_repr


class Failing:
    """Cannot be shown."""

    def __repr__(self) -> str:
        message = "no"
        raise RuntimeError(message)


@pytest.mark.parametrize(
    "value",
    [None, True, 7, 1.5, "a'b", b"x", (1,), ["a", {"b": (2, None)}], {3}, np.float32(1), int],
    ids=repr,
)
def test_it_is_the_repr(value: object) -> None:
    assert safe_repr(value) == repr(value)


def test_what_cannot_be_shown_has_the_name_of_its_type() -> None:
    assert safe_repr(Failing()).startswith("<Failing")
    assert safe_repr([Failing()]).startswith("[<Failing")
    assert safe_repr(10**5000).startswith(("1000", "<int"))


def test_tensors_of_torch_show_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tensor:
        def __repr__(self) -> str:
            return "values"

    assert safe_repr([Tensor()]) == "[values]"
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(Tensor=Tensor))
    assert safe_repr([Tensor()]) == "[<Tensor>]"
    assert safe_repr(OrderedDict(a=Tensor())) == "{'a': <Tensor>}"


def test_large_and_endless_objects_are_cut() -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep, "x" * 10**6, list(range(10**6)), {"k": "x" * 10**6}):
        assert len(safe_repr(value)) < 2000


@pytest.mark.parametrize("value", [Failing(), [Failing()], 10**5000], ids=["one", "list", "int"])
def test_the_error_stays_typed(value: Any) -> None:
    with pytest.raises(qr.QuarrowError):
        qr.quantize(np.ones((2, 2), np.float32), value)
    with pytest.raises(qr.QuarrowError):
        qr.quantize_state_dict({}, "int8_rowwise", rules=[value])
    with pytest.raises(qr.QuarrowError):
        qr.legacy.quantize({"a": [value]})
