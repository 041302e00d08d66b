# SPDX-License-Identifier: Apache-2.0
"""Rules as a dict: the same as pairs, wherever rules are taken."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from safetensors.numpy import save_file

WEIGHTS = {
    name: np.ones((32, 128), np.float32)
    for name in ("attn.q.weight", "attn.norm.weight", "ff.weight")
}
Call = Callable[[Any, Path], dict[str, str | None]]
Kind = Callable[[Any], Mapping[str, Any]]


def by_batch(rules: Any, folder: Path) -> dict[str, str | None]:
    made = qr.quantize_batch(WEIGHTS, "int4", rules=rules)
    return {name: made[name].format.name if name in made else None for name in WEIGHTS}


def by_arrow(rules: Any, folder: Path) -> dict[str, str | None]:
    table = pa.table(
        {"layer_name": list(WEIGHTS), "weights": [w.ravel().tolist() for w in WEIGHTS.values()]}
    )
    made = qr.quantize_arrow(table, "int4", rules=rules).to_pyarrow()
    names, formats = (made.column(name).to_pylist() for name in ("layer_name", "format"))
    found = dict(zip(names, formats, strict=True))
    return {name: found.get(name) for name in WEIGHTS}


def by_file(rules: Any, folder: Path) -> dict[str, str | None]:
    save_file(WEIGHTS, folder / "in.safetensors")
    report = qr.quantize_file(
        folder / "in.safetensors", folder / "out.safetensors", "int4", rules=rules
    )
    return {layer.name: layer.format for layer in report.layers}


def by_state_dict(rules: Any, folder: Path) -> dict[str, str | None]:
    made = qr.quantize_state_dict(WEIGHTS, "int4", rules=rules)
    # Eight codes of 4 bits, or four of 8, share a word.
    names = {16: "int4", 32: "int8"}
    packed = {name: made.get(f"{name}_packed") for name in WEIGHTS}
    return {name: None if w is None else names[w.shape[1]] for name, w in packed.items()}


CALLS = [by_batch, by_arrow, by_file, by_state_dict]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_a_dict_is_its_pairs(call: Call, kind: Kind, tmp_path: Path) -> None:
    rules = {"norm": None, "attn": "int8", "^ff": qr.Format("int4", group_size=64)}
    assert call(kind(rules), tmp_path) == call(list(rules.items()), tmp_path)
    assert call(kind(rules), tmp_path) == {
        "attn.q.weight": "int8",
        "attn.norm.weight": None,
        "ff.weight": "int4",
    }


@pytest.mark.parametrize("call", CALLS)
def test_its_order_counts(call: Call, tmp_path: Path) -> None:
    assert call({"attn": "int8", "norm": None}, tmp_path)["attn.norm.weight"] == "int8"
    assert call({"norm": None, "attn": "int8"}, tmp_path)["attn.norm.weight"] is None


@pytest.mark.parametrize("call", CALLS)
def test_keys_may_be_compiled_and_an_empty_dict_is_no_rule(call: Call, tmp_path: Path) -> None:
    rules = {re.compile("FF", re.IGNORECASE): None}
    assert call(rules, tmp_path)["ff.weight"] is None
    assert call({}, tmp_path)["ff.weight"] == "int4"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"(": "int8"}, "not a regular expression"),
        ({"attn": "int9"}, "unknown format 'int9'"),
        ({3: "int8"}, "not a regular expression"),
        (7, "rules must be a dict of patterns and formats, or"),
    ],
)
def test_what_is_wrong_with_it_is_said(call: Call, rules: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises((qr.InvalidInputError, qr.UnsupportedFormatError), match=re.escape(words)):
        call(rules, tmp_path)
