# SPDX-License-Identifier: Apache-2.0
"""What a server does for a request: an adapter or a ControlNet is in memory, and is quantized."""

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
TORCH, PYARROW = is_installed("torch"), is_installed("pyarrow")
STRENGTHS = (0.35, 0.6, 0.8, 1.25)


def _calls(model: Model, format_: str) -> Job:
    layers = layers_of(arrays(model))
    return layers_job(partial(single_calls, layers, format_, threads=2), layers)


def _batch(model: Model, format_: str) -> Job:
    layers = layers_of(arrays(model))
    return layers_job(partial(one_batch, layers, format_, threads=2), layers)


def _arrow(model: Model, format_: str) -> Job:
    layers = layers_of(arrays(model))
    rows = column(layers)

    def call() -> object:
        result: Any = qr.quantize_arrow(rows, format_, threads=2)
        return result, result.to_pyarrow()

    def verify(result: Any) -> None:
        made = result[1].to_pylist()
        expected = one_batch(layers, format_)
        require([row["layer_name"] for row in made] == list(layers), "other layers came back")
        for row in made:
            q = expected[row["layer_name"]]
            require(row["codes"] == q.codes.tobytes(), f"{row['layer_name']}: other codes")
            same = row["scales"] == q.scales.ravel().tolist()
            require(same, f"{row['layer_name']}: other scales")

    return Job(call, verify, lambda result: [result[0].stats], whole=True)


def _state_dict(model: Model, format_: str, *, torch: bool = False) -> Job:
    given: Mapping[str, Any] = tensors(arrays(model)) if torch else arrays(model)
    layers = layers_of(arrays(model))

    def call() -> object:
        result = qr.quantize_state_dict(given, format_, runtime="none", threads=2)
        return result, list(result.values())

    def verify(result: Any) -> None:
        entries = result[0]
        quantized = [name for name in layers if given[name] is not entries.get(name)]
        require(len(quantized) == len(layers), f"{len(quantized)} of {len(layers)} layers")
        if format_ == "int8_rowwise":
            expected = one_batch(layers, format_)
            for name, q in expected.items():
                require(np.array_equal(entries[name], q.codes), f"{name}: other codes")
                same = np.array_equal(np.ravel(entries[f"{name}_scale"]), q.scales.ravel())
                require(same, f"{name}: other scales")

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
    torch = __import__("torch")
    layers = _ups(model) if strength else layers_of(arrays(model))
    given = tensors(layers)
    strengths = itertools.cycle(STRENGTHS)

    def call() -> object:
        torch.set_num_threads(2)
        if not strength:
            return {name: _eager(w, format_) for name, w in given.items()}
        factor = next(strengths)
        return {name: _eager(w * factor, format_) for name, w in given.items()}

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
    """A way from a model in memory to quantized arrays; `seconds_per_gb` is about its time."""

    name: str
    words: str
    line: str
    prepare: Callable[[Model, str], Job]
    seconds_per_gb: float
    role: Role = "ours"
    package: str = "quarrow"
    lora: bool = True
    controlnet: bool = True
    int4: bool = True
    small_only: bool = False


# fmt: off
WAYS = (
    Way("calls", "a call for each layer", "calls", _calls, 0.3),
    Way("batch", "one batch", "batch", _batch, 0.3),
    Way("state_dict", "a state dict", "state dict", _state_dict, 0.4, int4=False),
    Way("strength", "another strength, one batch", "strength", _strength, 0.6, controlnet=False),
    *((Way("arrow", "Arrow to Arrow", "arrow", _arrow, 0.3),) if PYARROW else ()),
    *((
        Way("state_dict_torch", "a state dict of torch tensors", "state dict, torch",
            partial(_state_dict, torch=True), 0.4, int4=False),
        Way("torch", "torch eager, layer by layer", "torch eager", _torch, 3.0,
            role="peer", package="torch"),
        Way("strength_torch", "another strength, torch eager", "strength, torch eager",
            partial(_torch, strength=True), 3.0, role="peer", package="torch", controlnet=False),
    ) if TORCH else ()),
    Way("lists", "tolist and one list call", "lists", _lists, 10.0, role="legacy",
        controlnet=False, int4=False, small_only=True),
    Way("lists", "tolist and a list call for each layer", "lists", _lists_in_turn, 10.0,
        role="legacy", lora=False, int4=False),
)
# fmt: on
# What has lists to compare with.
SMALL = "lora_sd15_r16"


def _cases_of(model: Model, format_: str) -> Iterator[Case]:
    is_lora = model is not CONTROLNET
    # A row of int4 names its columns in groups, which narrow layers of an adapter have not.
    for way in WAYS:
        state_dict = way.name.startswith("state_dict")
        unfit = format_ == "int4" and not way.int4 and (is_lora or not state_dict)
        if not (way.lora if is_lora else way.controlnet) or unfit:
            continue
        if way.small_only and model.name != SMALL:
            continue
        listed = is_lora and model.name != SMALL
        job = f"{'strength, ' * way.name.startswith('strength')}{format_}, {model.name}"
        yield Case(
            id=f"{model.name}_{way.name}" + "_int4" * (format_ == "int4"),
            title=f"{model.words}: {way.words}, {format_}",
            prepare=partial(way.prepare, model, format_),
            role=way.role,
            package=way.package,
            chart=f"adapters, {format_}" if is_lora and way.role != "legacy" else "",
            line=way.line,
            size=round(model.megabytes, 1),
            bytes=model.bytes,
            threads=1 if way.role == "legacy" else 2,
            copy=f"copy_{model.name}",
            legacy="" if listed or way.role == "legacy" else f"{model.name}_lists",
            job=job,
            seconds=way.seconds_per_gb * model.megabytes / 1000,
            alone=way.role == "legacy" and not is_lora,
        )


def _copies_of(model: Model) -> Iterator[Case]:
    for threads in (1, 2):
        if threads == 1 or not missing_copy():
            yield Case(
                id=f"copy_{model.name}" + "_2_threads" * (threads == 2),
                title=f"{model.words}: a copy of its layers, {threads} thread{'s' * (threads > 1)}",
                prepare=partial(_copy, model, threads),
                role="copy",
                package="numpy" if threads == 1 else "",
                size=round(model.megabytes, 1),
                bytes=model.bytes,
                threads=threads,
                seconds=0.2 * model.megabytes / 1000,
            )


def _cases() -> Iterator[Case]:
    for model in (*LORAS.values(), CONTROLNET):
        yield from _copies_of(model)
        yield from _cases_of(model, "int8_rowwise")
        if model is CONTROLNET or model.rank == 16:
            yield from _cases_of(model, "int4")


def suite() -> Suite:
    """Return the suite."""
    missing = missing_copy()
    if not TORCH:
        missing["torch"] = "not installed: no torch eager, no state dicts of tensors"
    if not PYARROW:
        missing["pyarrow"] = "not installed: no Arrow"
    return Suite("online", "A request in memory", ABOUT, tuple(_cases()), missing)
