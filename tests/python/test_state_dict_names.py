# SPDX-License-Identifier: Apache-2.0
"""The names of a state dict, and mappings that are none."""

from typing import Any

import numpy as np
import pytest
import quarrow as qr
from quarrow import _core


@pytest.mark.parametrize("item", [(), ("a.weight",), ("a.weight", np.ones(3, "f4"), 1)])
def test_items_that_are_no_pairs(item: tuple[Any, ...]) -> None:
    class Odd(dict[str, Any]):
        def items(self) -> Any:
            return [item]

    with pytest.raises(qr.InvalidInputError, match=r"are \(name, array\) pairs, not"):
        qr.quantize_state_dict(Odd(), "int8_rowwise")


def test_two_tensors_of_one_name() -> None:
    class Odd(dict[str, Any]):
        def items(self) -> Any:
            return [("a.bias", np.ones(3, "f4"))] * 2

    with pytest.raises(qr.InvalidInputError, match="two tensors have the same name"):
        qr.quantize_state_dict(Odd(), "int8_rowwise")


def test_names_become_plain_strings() -> None:
    given: dict[str, Any] = {
        np.str_("a.weight"): np.ones((64, 64), "f4"),
        np.str_("a.bias"): np.ones(3, "f4"),
    }
    assert {type(name) for name in qr.quantize_state_dict(given, "int8_rowwise")} == {str}


def test_entries_are_those_of_the_last_plan() -> None:
    opened = _core.OpenCheckpoint([("a.weight", np.ones((64, 64), "f4"))], {}, lambda *_: None)
    job = _core.FileJob(opened)
    plan: Any = {"dtype": None, "max_shard_bytes": 0, "runtime": None, "in_memory": True}
    run: Any = {"saturate": False, "threads": None, "skip_faults": False, "progress": None}
    job.plan([_core.Format("int8")], b"", **plan)
    job.run_in_memory(**run)
    job.plan([_core.Format("int8_rowwise")], b"", **plan)
    with pytest.raises(qr.InvalidInputError, match="comes first"):
        job.take_entries(False, {})
    job.run_in_memory(**run)
    opened.release()
    with pytest.raises(qr.InvalidInputError, match="comes first"):
        job.take_entries(False, {})
