# SPDX-License-Identifier: Apache-2.0
"""What the suites declare fits together, whatever is installed here."""

import re
from typing import Any

import numpy as np
import pytest
import quarrow as qr

from benchmarks import fixtures, verification
from benchmarks.harness import environment
from benchmarks.harness.case import WrongResultError
from benchmarks.harness.targets import read_targets
from benchmarks.suites import NAMES, load_suite


@pytest.fixture(params=NAMES)
def suite(request: pytest.FixtureRequest) -> Any:
    return load_suite(request.param)


def test_names_are_unique_and_make_file_names(suite: Any) -> None:
    ids = [case.id for case in suite.cases]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z0-9_-]+", id_) for id_ in ids)


def test_a_benchmark_names_copies_and_lists_of_its_suite(suite: Any) -> None:
    roles = {case.id: case.role for case in suite.cases}
    for case in suite.cases:
        assert not case.copy or roles[case.copy] == "copy", case.id
        assert not case.legacy or roles[case.legacy] == "legacy", case.id


def test_every_suite_has_a_copy_by_one_thread_and_by_two(suite: Any) -> None:
    if not suite.cases:
        assert suite.missing  # it says why
        return
    copies = {case.threads for case in suite.cases if case.role == "copy"}
    assert copies == {1, 2}


def test_a_plot_has_one_value_for_each_place_on_a_line(suite: Any) -> None:
    places = [(c.line, c.size, c.size_unit) for c in suite.cases if c.line]
    assert len(places) == len(set(places))


# Whose benchmarks targets name, as their ids say it.
PACKAGES = {"torch", "fbgemm", "comfy_kitchen", "convert_to_quant", "torchao"}


def not_here(suite: Any) -> set[str]:
    """Return the packages that are missing, as ids say them; FBGEMM is a part of torch."""
    names = {name.replace("-", "_") for name in suite.missing}
    return names | ({"fbgemm"} if "torch" in names else set())


def test_what_targets_name_exists_or_is_said_to_be_missing() -> None:
    for target in read_targets():
        for id_ in (*target.of, target.baseline):
            if not id_:
                continue
            suite_name, _, case = id_.partition("/")
            suite = load_suite(suite_name)
            known = {each.id for each in suite.cases}
            absent = not suite.cases or any(name in case for name in PACKAGES & not_here(suite))
            assert case in known or absent, f"{target.metric}: {id_}"


W = np.random.default_rng(0).standard_normal((32, 256), np.float32)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "int4"},
        {"format": "int8"},
        {"format": "int8", "group_size": "tensor"},
        {"format": "int4", "group_size": "tensor", "packed": False},
        {"format": "int8_rowwise"},
        {"format": "int4", "symmetric": True},
        {"format": "int4", "group_size": 4},
    ],
)
@pytest.mark.parametrize("shape", [(32, 256), (8192,), (4, 8, 256)])
def test_a_right_result_passes_and_a_wrong_one_does_not(
    fields: dict[str, Any], shape: tuple[int, ...]
) -> None:
    w = W.reshape(shape)
    q = qr.quantize(w, **fields)
    verification.check_quantized(q, w)
    for part in ("codes", "scales", "zero_points"):
        array = getattr(q, part)
        if array is None:
            continue
        for place in (0, -1):
            before = array.flat[place]
            array.flat[place] = before + 1
            with pytest.raises(WrongResultError, match=part.replace("_", " ")):
                verification.check_quantized(q, w)
            array.flat[place] = before
    with pytest.raises(WrongResultError):
        verification.check_quantized(q, w.reshape(-1, 2))


def test_a_wrong_batch_does_not_pass() -> None:
    layers = {"first": W, "middle": W[:9], "last": 2 * W}
    right = {name: qr.quantize(w, "int4") for name, w in layers.items()}
    verification.check_layers(right, layers)
    for name in ("first", "last"):
        with pytest.raises(WrongResultError, match="codes differ"):
            verification.check_layers({**right, name: qr.quantize(-layers[name], "int4")}, layers)
    with pytest.raises(WrongResultError, match="2 layers instead of 3"):
        verification.check_layers({"first": right["first"], "last": right["last"]}, layers)


def test_wrong_lists_do_not_pass() -> None:
    layers = {"a": W, "b": 2 * W}
    right = qr.legacy.quantize({name: w.tolist() for name, w in layers.items()}, bit_width=8)
    verification.check_lists(right, layers)
    for part in ("codes", "scales"):
        wrong = [0] * len(right["b"][part])
        with pytest.raises(WrongResultError, match=f"b: .*{part}"):
            verification.check_lists({**right, "b": {**right["b"], part: wrong}}, layers)
    with pytest.raises(WrongResultError, match="1 layers instead of 2"):
        verification.check_lists({"a": right["a"]}, layers)


def test_cold_inputs_are_more_than_the_cache_holds() -> None:
    inputs = fixtures.cold_weights(4)
    assert sum(w.nbytes for w in inputs) > environment.last_level_cache_bytes()
    call = fixtures.in_turn(lambda w: w, inputs)
    assert [call() is w for w in (*inputs, inputs[0])] == [True] * (len(inputs) + 1)
