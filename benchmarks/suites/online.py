# SPDX-License-Identifier: Apache-2.0
"""What a server does for a request: an adapter or a ControlNet is in memory, and is quantized."""

import importlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.array_peers import is_installed
from benchmarks.array_peers.torch_peers import eager_affine, eager_rowwise
from benchmarks.fixtures import (
    column,
    copy_job,
    missing_copy,
    no_stats,
    tensors,
)
from benchmarks.harness.case import Case, Job, Role, Suite
from benchmarks.jobs import (
    Layers,
    in_hand,
    layers_job,
    list_job,
    one_batch,
    one_list_at_a_time,
    single_calls,
)
from benchmarks.models import CONTROLNET, LORAS, Model, arrays, layers_of
from benchmarks.verification import check_layers, check_lists, require

ABOUT = (
    "Every matrix of an adapter or of a ControlNet lies in memory as float16 and becomes"
    " int8_rowwise or int4 in groups of 128, two threads; the time ends when codes, scales and zero"
    " points of every layer are in the caller's hands. 'calls': one for each layer. 'batch': one"
    " for all. 'arrow': a record batch of pyarrow becomes another. 'state dict': the entries of a"
    " ComfyUI file (int4: of compressed-tensors), of arrays or of torch tensors. 'strength': the up"
    " factors of an adapter are scaled by another strength in float and quantized again, which is"
    " what a caller does today when it changes. 'torch eager' does the same layer by layer with"
    " torch's own operations; where 128 does not divide a row its groups are the widest that do."
    " 'lists' is a program with a list API: int8 with one scale for a layer; of the ControlNet"
    " layer by layer, each layer's lists freed before the next, in a process of its own."
)
STRENGTHS = (0.35, 0.6, 0.8, 1.25)


def _matrices(model: Model, format_: str) -> Layers:
    """Return what is quantized; of the ControlNet as int4 what a file can hold, whole groups."""
    every = layers_of(arrays(model))
    whole = model is CONTROLNET and format_ == "int4"
    return {name: w for name, w in every.items() if not whole or w.shape[1] % 128 == 0}


def _layers(way: Any, model: Model, format_: str) -> Job:
    layers = _matrices(model, format_)
    return layers_job(partial(way, layers, format_, threads=2), layers)


def _arrow(model: Model, format_: str) -> Job:
    layers = _matrices(model, format_)
    rows = column(layers)

    def call() -> object:
        result: Any = qr.quantize_arrow(rows, format_, threads=2)
        return result, result.to_pyarrow()

    def verify(result: Any) -> None:
        made = {row["layer_name"]: row for row in result[1].to_pylist()}
        require(list(made) == list(layers), "other layers came back")
        for name, q in one_batch(layers, format_).items():
            same = made[name]["codes"] == q.codes.tobytes()
            same = same and made[name]["scales"] == q.scales.ravel().tolist()
            require(same, f"{name}: other codes or scales")

    return Job(call, verify, lambda result: [result[0].stats], whole=True)


def _state_dict(model: Model, format_: str, *, torch: bool = False) -> Job:
    # By default the edges of a model are left; the other ways take them too.
    rules = [(r"weight$", format_)]
    given: Mapping[str, Any] = tensors(arrays(model)) if torch else arrays(model)
    layers = _matrices(model, format_)

    def call() -> object:
        result = qr.quantize_state_dict(given, format_, runtime="none", rules=rules, threads=2)
        return result, list(result.values())

    def verify(result: Any) -> None:
        entries = result[0]
        quantized = {name for name in given if given[name] is not entries.get(name)}
        require(quantized == layers.keys(), f"{len(quantized)} of {len(layers)} layers")
        if format_ == "int8_rowwise":
            for name, q in one_batch(layers, format_).items():
                same = np.array_equal(entries[name], q.codes)
                same = same and np.array_equal(np.ravel(entries[f"{name}_scale"]), q.scales.ravel())
                require(same, f"{name}: other codes or scales")

    return Job(call, verify, no_stats)


def _ups(model: Model) -> Layers:
    layers = layers_of(arrays(model))
    return {name: w for name, w in layers.items() if "lora_up" in name or "lora_B" in name}


def _strength(model: Model, format_: str) -> Job:
    ups = _ups(model)
    strengths = itertools.cycle(STRENGTHS)

    def call() -> object:
        strength = np.float16(next(strengths))
        scaled = {name: w * strength for name, w in ups.items()}
        result = one_batch(scaled, format_, threads=2)
        return result, in_hand(result), scaled

    # The product is a part of the job and not of our call: no share of the binding.
    return Job(call, lambda result: check_layers(result[0], result[2]), no_stats)


def _eager(w: Any, format_: str) -> Any:
    """Quantize a tensor with torch's own operations."""
    x = w.float()
    if format_ == "int8_rowwise":
        return eager_rowwise(x)
    return eager_affine(x.view(-1, math.gcd(128, x.shape[1])), 4)


def _torch(model: Model, format_: str, *, strength: bool = False) -> Job:
    torch = importlib.import_module("torch")
    layers = _ups(model) if strength else _matrices(model, format_)
    given = tensors(layers)
    strengths = itertools.cycle(STRENGTHS)

    def call() -> object:
        torch.set_num_threads(2)
        factor = next(strengths)
        return {name: _eager(w * factor if strength else w, format_) for name, w in given.items()}

    def verify(result: Any) -> None:
        require(result.keys() == layers.keys(), "other layers came back")
        per_byte = 1 if format_ == "int8_rowwise" else 2
        for name, w in layers.items():
            codes = result[name][0]
            require(codes.numel() * per_byte == w.size, f"{name}: codes are missing")
            if format_ == "int8_rowwise":
                factor = STRENGTHS[0] if strength else 1.0
                off = np.abs((codes * result[name][1]).numpy() - w.astype("f4") * factor)
                steps = float((off / result[name][1].numpy()).max())
                # The product is rounded to float16.
                require(steps < 0.6, f"{name}: {steps:.2f} steps off")

    return Job(call, verify, no_stats)


def _lists(model: Model, format_: str) -> Job:
    del format_
    return list_job(layers_of(arrays(model)))


def _lists_in_turn(model: Model, format_: str) -> Job:
    del format_
    layers = layers_of(arrays(model))
    first = next(iter(layers))
    kept: dict[str, Any] = {}

    def keep(name: str, layer: Any) -> None:
        # A result in lists is as large as its input: of the first alone somebody looks at it.
        if name == first:
            kept[name] = layer

    def verify(result: Any) -> None:
        del result
        check_lists(kept, {first: layers[first]})

    return Job(lambda: one_list_at_a_time(layers, keep), verify, no_stats)


def _copy(model: Model, threads: int) -> Job:
    return copy_job(list(layers_of(arrays(model)).values()), threads)


@dataclass(frozen=True)
class Way:
    """A way from a model in memory to quantized arrays.

    `of` are the models that it is measured with and `int4` those of int4 too, as their ids begin;
    `seconds_per_gb` is about its time.
    """

    name: str
    words: str
    prepare: Callable[[Model, str], Job]
    seconds_per_gb: float
    role: Role = "ours"
    package: str = "quarrow"
    needs: str = "numpy"
    of: tuple[str, ...] = ("lora", "controlnet")
    int4: tuple[str, ...] = ("lora", "controlnet")


# int4 in a file wants rows of whole groups, which an adapter's up factors are not.
STATE_DICT = ("controlnet",)
# The adapter whose lists somebody waits for.
SMALL = "lora_sd15_r16"
# fmt: off
WAYS = (
    Way("calls", "a call for each layer", partial(_layers, single_calls), 0.3),
    Way("batch", "one batch", partial(_layers, one_batch), 0.3),
    Way("arrow", "Arrow to Arrow", _arrow, 0.3, needs="pyarrow"),
    Way("state_dict", "a state dict", _state_dict, 0.4, int4=STATE_DICT),
    Way("state_dict_torch", "a state dict of torch tensors", partial(_state_dict, torch=True), 0.4,
        needs="torch", int4=STATE_DICT),
    Way("torch", "torch eager, layer by layer", _torch, 3.0, "peer", "torch", "torch"),
    Way("strength", "another strength, one batch", _strength, 0.6, of=("lora",)),
    Way("strength_torch", "another strength, torch eager", partial(_torch, strength=True), 3.0,
        "peer", "torch", "torch", of=("lora",)),
    Way("lists", "tolist and one list call", _lists, 12.0, "legacy", of=(SMALL,), int4=()),
    Way("lists", "tolist and a list call for each layer", _lists_in_turn, 12.0, "legacy",
        of=("controlnet",), int4=()),
)
# fmt: on
LISTED = {SMALL, CONTROLNET.name}
MODELS = (*LORAS.values(), CONTROLNET)


def _cases_of(model: Model) -> Iterator[Case]:
    is_lora, megabytes = model is not CONTROLNET, round(model.megabytes, 1)
    common = partial(Case, size=megabytes, bytes=model.bytes)
    for threads in (1,) if is_lora or missing_copy() else (1, 2):
        yield common(
            id=f"copy_{model.name}" + "_2_threads" * (threads == 2),
            title=f"{model.words}: a copy of its layers, {threads} thread{'s' * (threads > 1)}",
            prepare=partial(_copy, model, threads),
            role="copy",
            package="numpy" if threads == 1 else "",
            threads=threads,
            seconds=0.2 * megabytes / 1000,
        )
    for format_ in ("int8_rowwise", "int4") if model.rank in {0, 16} else ("int8_rowwise",):
        for way in WAYS:
            unfit = format_ == "int4" and not model.name.startswith(way.int4)
            if unfit or not model.name.startswith(way.of) or not is_installed(way.needs):
                continue
            lists, change = way.role == "legacy", way.name.startswith("strength")
            listed = not (lists or change) and format_ != "int4" and model.name in LISTED
            yield common(
                id=f"{model.name}_{way.name}" + "_int4" * (format_ == "int4"),
                title=f"{model.words}: {way.words}, {'int8' if lists else format_}",
                prepare=partial(way.prepare, model, format_),
                role=way.role,
                package=way.package,
                chart=f"adapters, {format_}" if is_lora and not lists else "",
                line=way.name.replace("_", " "),
                threads=1 if lists else 2,
                copy=f"copy_{model.name}",
                legacy=f"{model.name}_lists" if listed else "",
                job=f"{'strength, ' * change}{format_}, {model.name}",
                seconds=way.seconds_per_gb * megabytes / 1000,
                alone=lists and not is_lora,
            )


def suite() -> Suite:
    """Return the suite."""
    needs = {way.needs for way in WAYS if not is_installed(way.needs)}
    missing = dict.fromkeys(sorted(needs), "not installed") | missing_copy()
    cases = tuple(case for model in MODELS for case in _cases_of(model))
    return Suite("online", "A request in memory", ABOUT, cases, missing)
