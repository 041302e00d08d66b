# SPDX-License-Identifier: Apache-2.0
"""A request in memory.

Every matrix of an adapter or of a ControlNet lies in memory as float16 and becomes int8_rowwise or
int4 in groups of 128, two threads; the time ends when codes, scales and zero points of every layer
are in the caller's hands. 'calls': one for each layer. 'batch': one for all. 'arrow': a record
batch of pyarrow becomes another. 'state dict': the entries of a ComfyUI file (int4: of
compressed-tensors), of arrays or of torch tensors. 'strength': the up factors of an adapter are
scaled by another strength in float and quantized again, which is what a caller does today when it
changes. 'torch eager' does the same layer by layer with torch's own operations; where 128 does not
divide a row its groups are the widest that do. 'lists' is a program with a list API: int8 with one
scale for a layer; of the ControlNet layer by layer, each layer's lists freed before the next, in a
process of its own.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks import jobs
from benchmarks.array_peers.torch_peers import eager_affine, eager_rowwise
from benchmarks.cases import missing_copy, threads_text
from benchmarks.fixtures import Layers, column, is_installed, tensors, torch
from benchmarks.harness.case import Case, Job, no_stats
from benchmarks.models import CONTROLNET, LORAS, Model, arrays, layers_of
from benchmarks.verification import check_layers, check_lists, require

STRENGTHS = (0.35, 0.6, 0.8, 1.25)


def _matrices(model: Model, format_: str) -> Layers:
    """Return what is quantized; of the ControlNet as int4 what a file can hold, whole groups."""
    every = layers_of(arrays(model))
    whole = model is CONTROLNET and format_ == "int4"
    return {name: w for name, w in every.items() if not whole or w.shape[1] % 128 == 0}


def _layers(way: Any, model: Model, format_: str) -> Job:
    layers = _matrices(model, format_)
    return jobs.layers_job(partial(way, layers, format_, threads=2), layers)


def _arrow(model: Model, format_: str) -> Job:
    layers = _matrices(model, format_)
    rows = column(layers)

    def call() -> object:
        result: Any = qr.quantize_arrow(rows, format_, threads=2)
        return result, result.to_pyarrow()

    def verify(result: Any) -> None:
        made = {row["layer_name"]: row for row in result[1].to_pylist()}
        require(list(made) == list(layers), "other layers came back")
        for name, q in jobs.one_batch(layers, format_).items():
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
            for name, q in jobs.one_batch(layers, format_).items():
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
        result = jobs.one_batch(scaled, format_, threads=2)
        return result, jobs.in_hand(result), scaled

    # The product is a part of the job and not of our call: no share of the binding.
    return Job(call, lambda result: check_layers(result[0], result[2]), no_stats)


def _eager(w: Any, format_: str) -> Any:
    """Quantize a tensor with torch's own operations."""
    x = w.float()
    if format_ == "int8_rowwise":
        return eager_rowwise(x)
    return eager_affine(x.view(-1, math.gcd(128, x.shape[1])), 4)


def _torch(model: Model, format_: str, *, strength: bool = False) -> Job:
    layers = _ups(model) if strength else _matrices(model, format_)
    given = tensors(layers)
    strengths = itertools.cycle(STRENGTHS)

    def call() -> object:
        torch().set_num_threads(2)
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
    layers = layers_of(arrays(model))
    if model is not CONTROLNET:
        return jobs.list_job(layers)
    first = next(iter(layers))
    kept: dict[str, Any] = {}

    def keep(name: str, layer: Any) -> None:
        # A result in lists is as large as its input: of the first alone somebody looks at it.
        if name == first:
            kept[name] = layer

    def verify(result: object) -> None:
        check_lists(kept, {first: layers[first]})

    return Job(lambda: jobs.one_list_at_a_time(layers, keep), verify, no_stats)


def _copy(model: Model, threads: int) -> Job:
    return jobs.copy_job(list(layers_of(arrays(model)).values()), threads)


# The adapter whose lists somebody waits for.
SMALL = "lora_sd15_r16"
LISTED = {SMALL, CONTROLNET.name}
# The name, the words, from a model and a format to the job, about the seconds of a GB, what must be
# installed.
WAYS: tuple[tuple[str, str, Callable[[Model, str], Job], float, str], ...] = (
    ("calls", "a call for each layer", partial(_layers, jobs.single_calls), 0.3, "numpy"),
    ("batch", "one batch", partial(_layers, jobs.one_batch), 0.3, "numpy"),
    ("arrow", "Arrow to Arrow", _arrow, 0.3, "pyarrow"),
    ("state_dict", "a state dict", _state_dict, 0.4, "numpy"),
    ("state_dict_torch", "a state dict of torch tensors", partial(_state_dict, torch=True), 0.4,
     "torch"),
    ("torch", "torch eager, layer by layer", _torch, 3.0, "torch"),
    ("strength", "another strength, one batch", _strength, 0.6, "numpy"),
    ("strength_torch", "another strength, torch eager", partial(_torch, strength=True), 3.0,
     "torch"),
    ("lists", "tolist and one list call", _lists, 12.0, "numpy"),
)  # fmt: skip


def _is_measured(way: str, model: Model, format_: str) -> bool:
    is_lora = model is not CONTROLNET
    if way == "lists":
        return model.name in LISTED and format_ != "int4"
    if way.startswith("state_dict") and format_ == "int4":
        # In a file it wants rows of whole groups, which an adapter's up factors are not.
        return not is_lora
    return is_lora or not way.startswith("strength")


def _cases_of(model: Model) -> Iterator[Case]:
    is_lora, megabytes = model is not CONTROLNET, round(model.megabytes, 1)
    common = partial(Case, size=megabytes, bytes=model.bytes)
    for threads in (1,) if is_lora or missing_copy() else (1, 2):
        yield common(
            id=f"copy_{model.name}" + "_2_threads" * (threads == 2),
            title=f"{model.words}: a copy of its layers, {threads_text(threads)}",
            prepare=partial(_copy, model, threads),
            role="copy",
            package="numpy" if threads == 1 else "",
            threads=threads,
            seconds=0.2 * megabytes / 1000,
        )
    for format_ in ("int8_rowwise", "int4") if model.rank in {0, 16} else ("int8_rowwise",):
        for way, words, prepare, seconds_per_gb, needs in WAYS:
            if not (_is_measured(way, model, format_) and is_installed(needs)):
                continue
            lists, change = way == "lists", way.startswith("strength")
            peer = "torch" in way and "state_dict" not in way
            listed = not (lists or change) and format_ != "int4" and model.name in LISTED
            said = words if is_lora or not lists else "tolist and a list call for each layer"
            yield common(
                id=f"{model.name}_{way}" + "_int4" * (format_ == "int4"),
                title=f"{model.words}: {said}, {'int8' if lists else format_}",
                prepare=partial(prepare, model, format_),
                role="peer" if peer else "legacy" if lists else "ours",
                package="torch" if peer else "quarrow",
                chart=f"adapters, {format_}" if is_lora and not lists else "",
                line=way.replace("_", " "),
                threads=1 if lists else 2,
                copy=f"copy_{model.name}",
                legacy=f"{model.name}_lists" if listed else "",
                job=f"{'strength, ' * change}{format_}, {model.name}",
                seconds=seconds_per_gb * megabytes / 1000,
                alone=lists and not is_lora,
            )


def cases() -> Iterator[Case]:
    for model in (*LORAS.values(), CONTROLNET):
        yield from _cases_of(model)


def missing() -> dict[str, str]:
    needs = sorted({needs for *_, needs in WAYS if not is_installed(needs)})
    return dict.fromkeys(needs, "not installed") | missing_copy()
