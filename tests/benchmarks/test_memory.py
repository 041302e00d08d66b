# SPDX-License-Identifier: Apache-2.0
"""A proof about memory holds where it should and is broken where it should be."""

import planted_suite
import pytest

from benchmarks.harness import memory
from benchmarks.harness.google_json import BenchmarkFailedError


@pytest.fixture(autouse=True)
def planted_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PROGRAM", planted_suite.MEMORY)


@pytest.mark.parametrize(
    ("name", "holds"), [("allocating", True), ("growing", False), ("copying", False)]
)
def test_a_proof_looks_at_the_peak_and_at_copies(name: str, *, holds: bool) -> None:
    (proof,) = memory.prove(planted_suite.suite(), lambda each: each == name)
    assert proof.holds is holds
    if name == "copying":
        assert proof.copied == 64 * 128 * 4
    else:
        assert abs(proof.peak - (8 << 20)) < memory.SLACK


def test_only_what_promises_something_is_looked_at() -> None:
    assert list(memory.prove(planted_suite.suite(), lambda each: each == "quantizing")) == []


def test_a_body_that_raises_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PROGRAM", ("-c", "raise ValueError('it is broken')"))
    with pytest.raises(BenchmarkFailedError, match="planted/allocating: ValueError: it is broken"):
        list(memory.prove(planted_suite.suite(), lambda each: each == "allocating"))
