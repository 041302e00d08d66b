# SPDX-License-Identifier: Apache-2.0
"""What a layer costs in a batch, in calls of its own, and through lists."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import quarrow as qr
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.rounds import Case, Ratio, Row, ratio, run_rounds

COUNTS = (1, 10, 100, 1000)
# Of all layers together, whatever their number.
VALUES = 256_000
MICROSECONDS_A_LAYER = {"numpy": 0.5, "torch": 4.0}
TIMES_LESS_THAN_SINGLE_CALLS = 2.0
TIMES_LESS_THAN_LISTS = 100.0
SHARE_OF_ONE_TENSOR = 0.9
# Of a LoRA of rank 16 on a model of 3,072 channels: down and up of attention and of its MLP.
REAL_SHAPES = [(16, 3072), (3072, 16), (16, 12288), (12288, 16), (16, 3072), (9216, 16)]

Layers = dict[str, NDArray[np.float32]]


def even_layers(count: int) -> Layers:
    """Return layers of one size, of VALUES together."""
    whole = np.random.default_rng(count).standard_normal(VALUES, np.float32)
    return {f"layers.{i}.weight": part for i, part in enumerate(np.split(whole, count))}


def real_layers(count: int) -> Layers:
    """Return layers of the shapes of an adapter."""
    random = np.random.default_rng(count)
    shapes = [REAL_SHAPES[i % len(REAL_SHAPES)] for i in range(count)]
    return {
        f"layers.{i}.weight": random.standard_normal(shape, np.float32)
        for i, shape in enumerate(shapes)
    }


def together(layers: Mapping[str, object], threads: int = 1) -> qr.BatchResult:
    """Quantize in one call; making the dict is a part of it."""
    return qr.quantize_batch(dict(layers), "int4", threads=threads)


def one_by_one(layers: Mapping[str, object]) -> dict[str, qr.QuantizedTensor]:
    """Quantize in a call for each layer."""
    return {name: qr.quantize(w, "int4", name=name, threads=1) for name, w in layers.items()}


def slope(cases: dict[int, Case]) -> Ratio:
    """Fit time = a + b * layers in each round; return b in microseconds a layer."""
    counts = np.array(sorted(cases))
    walls = np.array([cases[count].wall for count in counts])
    each = np.polynomial.polynomial.polyfit(counts, walls, 1)[1] * 1e6
    return ratio(each.tolist(), [1.0] * len(each))


def overhead(case: Case, core: Case) -> list[float]:
    """Return what each round took beyond quantizing the same bytes as one layer."""
    return [wall - alone for wall, alone in zip(case.wall, core.wall, strict=True)]


def at_least(
    name: str, case: Case, other: Sequence[float], mine: Sequence[float], target: float
) -> Row:
    """Return a row that says how many times less `mine` is, in other words how much of `other`."""
    milliseconds = float(np.median(case.wall)) * 1e3
    return Row(name, milliseconds, ratio(mine, other), "of the other", 1 / target)


def overhead_rows(rounds: int) -> Iterator[Row]:
    """Measure the cost of a layer at the same bytes in all, one thread."""
    layers = {count: even_layers(count) for count in COUNTS}
    batch = {n: Case(f"batch of {n}", partial(together, x)) for n, x in layers.items()}
    single = {n: Case(f"{n} calls", partial(one_by_one, x)) for n, x in layers.items()}
    cases = [*batch.values(), *single.values()]
    tensors: dict[int, Case] = {}
    if peers.INSTALLED:
        for n, x in layers.items():
            converted = {name: peers.torch_tensor(w) for name, w in x.items()}
            tensors[n] = Case(f"batch of {n}, torch", partial(together, converted))
    run_rounds([*cases, *tensors.values()], rounds)
    lists = {name: w.tolist() for name, w in layers[100].items()}
    legacy = Case("legacy", lambda: qr.legacy.quantize(lists, bit_width=4))
    again = Case("batch of 100", lambda: together(layers[100]))
    alone = Case("batch of 1", lambda: together(layers[1]))
    run_rounds([legacy, again, alone], max(rounds // 4, 5))
    for kind, measured in (("numpy", batch), ("torch", tensors)):
        if measured:
            milliseconds = float(np.median(measured[1000].wall)) * 1e3
            target = MICROSECONDS_A_LAYER[kind]
            yield Row(f"layer of a batch, {kind}", milliseconds, slope(measured), "us", target)
    for count in COUNTS[1:]:
        yield at_least(
            f"overhead of {count} layers / that of calls",
            batch[count],
            overhead(single[count], batch[1]),
            overhead(batch[count], batch[1]),
            TIMES_LESS_THAN_SINGLE_CALLS,
        )
    yield at_least(
        "overhead of 100 layers / that of lists",
        again,
        overhead(legacy, alone),
        overhead(again, alone),
        TIMES_LESS_THAN_LISTS,
    )


def batch_rows(rounds: int) -> Iterator[Row]:
    """Measure the cost of a layer, and 1000 real layers beside one tensor of their bytes."""
    yield from overhead_rows(rounds)
    layers = real_layers(1000)
    whole = np.concatenate([w.ravel() for w in layers.values()]).reshape(-1, 1024)
    many = Case("1000 real layers", lambda: together(layers, threads=2))
    one = Case("one tensor", lambda: qr.quantize(whole, "int4", threads=2))
    run_rounds([many, one], max(rounds // 2, 5))
    milliseconds = float(np.median(many.wall)) * 1e3
    measured = ratio(many.wall, one.wall)
    target = 1 / SHARE_OF_ONE_TENSOR
    yield Row("1000 layers of an adapter", milliseconds, measured, "of one tensor", target)
