# SPDX-License-Identifier: Apache-2.0
"""Many Python threads, other processes, and a lock that others can take meanwhile."""

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from batch_layers import damaged, weights
from workload import HANG_SECONDS

LAYERS = {f"l{i}": weights(60 + i, 500, seed=i) for i in range(6)}
TABLE = pa.table(
    {
        "layer_name": list(LAYERS),
        "weights": pa.array([w.ravel() for w in LAYERS.values()], pa.list_(pa.float32())),
    }
)


def single() -> Any:
    return qr.quantize(LAYERS["l0"], "int4", threads=2)


def batch() -> Any:
    return qr.quantize_batch(LAYERS, "int4", threads=2)


def skipping() -> Any:
    r = qr.quantize_batch({**LAYERS, "bad": damaged(LAYERS["l0"])}, "int8", on_error="skip")
    return dict(r), r.errors


def progress() -> Any:
    names: list[str] = []
    qr.quantize_batch(LAYERS, "int4", progress=lambda _done, _total, name: names.append(name))
    return sorted(names)


def failing() -> Any:
    with pytest.raises(qr.NonFiniteError) as failure:
        qr.quantize_batch({**LAYERS, "bad": damaged(LAYERS["l1"])}, "int4")
    return failure.value


def arrow() -> Any:
    result: Any = qr.quantize_arrow(TABLE, "int4", threads=2)
    return result.to_pyarrow()


def stream() -> Any:
    made: Any = qr.quantize_arrow(TABLE.to_reader(2), "int4")
    return pa.table(made)


def restored() -> Any:
    q = qr.quantize(LAYERS["l2"], "int8", threads=2)
    return q.dequantize("float16").tobytes(), q.error(LAYERS["l2"])


def state_dict() -> Any:
    entries = qr.quantize_state_dict({"a.weight": LAYERS["l3"]}, "int8_rowwise", threads=2)
    return {name: each.tobytes() for name, each in entries.items()}


def lists() -> Any:
    return qr.legacy.quantize({"a": LAYERS["l4"][:2].tolist()})


CALLS: list[Callable[[], Any]] = [
    single, batch, skipping, progress, failing, arrow, stream, restored, state_dict, lists,
]  # fmt: skip


def test_eight_threads_of_mixed_calls_get_what_one_gets() -> None:
    expected = [call() for call in CALLS]
    right: list[bool] = []

    def work(first: int) -> None:
        for i in range(4 * len(CALLS)):
            which = (first + i) % len(CALLS)
            right.append(CALLS[which]() == expected[which])

    threads = [threading.Thread(target=work, args=(3 * t,)) for t in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * (8 * 4 * len(CALLS))


def test_many_threads_read_one_result() -> None:
    for _ in range(20):
        r = qr.quantize_batch(LAYERS, "int4")
        seen: list[tuple[int, ...]] = []
        barrier = threading.Barrier(8)

        def read(r: qr.BatchResult = r, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            seen.append(tuple(id(q) for q in r.values()))  # noqa: B023

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(seen)) == 1


@pytest.mark.parametrize("way", ["batch", "arrow"])
def test_another_thread_advances_while_400_mb_are_quantized(way: str) -> None:
    values = np.tile(weights(1, 1 << 20), (100, 1))
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 1 << 20)
    names = [f"l{i}" for i in range(100)]
    table = pa.table({"layer_name": names, "weights": column})
    layers = dict(zip(names, values, strict=True))
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(1e-4)

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        # Nobody is made to give the lock up within this test: a tick means that it was released.
        sys.setswitchinterval(1000)
        before = ticks
        if way == "batch":
            qr.quantize_batch(layers, "int4", rounding="stochastic", threads=1)
        else:
            qr.quantize_arrow(table, "int4", rounding="stochastic", threads=1)
        after = ticks
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert after > before


def in_another_process(_: int) -> Any:
    return batch(), single()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_other_processes_after_use(method: str) -> None:
    """Results come back pickled. A hang is ended by the time limit, and fails."""
    expected = in_another_process(0)
    with multiprocessing.get_context(method).Pool(2) as pool:
        made = pool.map_async(in_another_process, range(4)).get(timeout=HANG_SECONDS)
    assert made == [expected] * 4
    assert in_another_process(0) == expected
