# SPDX-License-Identifier: Apache-2.0
"""Where Arrow results lie, how long, and what else is Arrow data."""

import gc
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest
import quarrow as qr
from arrow_layers import (
    assert_rows_are,
    quantize,
    singles,
    some_layers,
    table_of,
)
from workload import HANG_SECONDS


def test_a_batch_result_is_arrow_data() -> None:
    layers = some_layers()
    layers["large"] = np.ones((1024, 4096))
    r = qr.quantize_batch(layers, "int8")
    assert_rows_are(pa.table(r), singles(layers, "int8"))
    again = pickle.loads(pickle.dumps(r))
    assert_rows_are(pa.table(again), singles(layers, "int8"))


def test_a_tensor_is_a_record_batch_of_one_row() -> None:
    w = np.random.default_rng(0).normal(size=(5, 70)).astype(np.float32)
    for name in ("a", None):
        q = qr.quantize(w, "int4", name=name, scale_dtype="float16")
        batch = pa.record_batch(q)
        assert batch.num_rows == 1
        assert_rows_are(pa.Table.from_batches([batch]), {name: q})  # type: ignore[dict-item]
    held = qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape)
    batch = pa.record_batch(held)
    del held
    gc.collect()
    assert batch["codes"][0].as_py() == q.codes.tobytes()


# Memory.


def buffer_addresses(column: pa.ChunkedArray) -> list[int]:
    return [buffer.address for buffer in column.chunk(0).buffers() if buffer is not None]


def test_results_lie_where_the_engine_wrote_them() -> None:
    layers = some_layers()
    r = qr.quantize_batch(layers, "int4")
    table = pa.table(r)
    first = r["l0"]

    def address(array: Any) -> int:
        return int(array.__array_interface__["data"][0])

    assert address(first.codes) in buffer_addresses(table["codes"])
    assert address(first.scales) in buffer_addresses(table["scales"])
    assert first.zero_points is not None
    assert address(first.zero_points) in buffer_addresses(table["zero_points"])
    result = quantize(table_of(layers), "int4")
    again = pa.table(result)
    for column in ("codes", "scales", "zero_points"):
        data = buffer_addresses(pa.table(result)[column])[-1]
        assert data == buffer_addresses(again[column])[-1]


@pytest.mark.memory
def test_weights_are_read_where_they_lie() -> None:
    """64 MB of weights in: the process grows by the results and a megabyte."""
    code = """
import numpy as np, pyarrow as pa, quarrow as qr
values = pa.array(np.full(1 << 24, 0.5, np.float32))
rows = pa.FixedSizeListArray.from_arrays(values, 1 << 20).cast(pa.large_list(pa.float32()))
table = pa.table({"layer_name": [f"l{i}" for i in range(16)], "weights": rows})
def highest():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
qr.quantize_arrow(table.slice(0, 1), "int4").to_pyarrow()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = highest()
result = qr.quantize_arrow(table, "int4").to_pyarrow()
print(highest() - before, result.nbytes)
"""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no /proc to measure peaks with")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MALLOC_MMAP_THRESHOLD_": "131072", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    more, results = map(int, done.stdout.split())
    assert more <= results + (1 << 20)


def test_arrays_outlive_everything_else() -> None:
    layers = some_layers()
    expected = singles(layers)
    table = quantize(table_of(layers), "int4").to_pyarrow()
    codes, scales = table["codes"], table["scales"]
    kept = pa.table(qr.quantize_batch(layers, "int4"))
    del table
    gc.collect()
    junk = [np.full(5000, 255, np.uint8) for _ in range(100)]
    assert len(junk) == 100
    assert codes.to_pylist() == [q.codes.tobytes() for q in expected.values()]
    assert scales.to_pylist() == [q.scales.ravel().tolist() for q in expected.values()]
    assert_rows_are(kept, expected)


@pytest.mark.memory
@pytest.mark.parametrize(
    "use",
    [
        lambda r: r.__arrow_c_stream__(),
        lambda r: r.__arrow_c_array__(),
        lambda r: pa.RecordBatchReader.from_stream(r).read_next_batch(),
        lambda r: pa.table(r)["codes"],
        pa.RecordBatchReader.from_stream,
        lambda r: r.__arrow_c_schema__(),
    ],
)
def test_what_is_dropped_early_is_freed(use: Callable[[Any], object]) -> None:
    """A leaked result of 2 MB in each of 300 rounds would be 600 MB."""
    layers = {"a": np.ones((1 << 21), np.float16)}
    table = table_of(layers)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

    for _ in range(5):
        use(quantize(table, "int8"))
    before = resident()
    for _ in range(300):
        use(quantize(table, "int8"))
    assert resident() - before < 60 << 20


def test_the_interpreter_may_end_while_a_consumer_holds_on() -> None:
    code = """
import numpy as np, pyarrow as pa, quarrow as qr
table = pa.table({"layer_name": ["a", "b"], "weights": [[1.0], [2.0]]})
reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1))
made = qr.quantize_arrow(reader, "int4", rules=lambda name: "int8")
stream = pa.RecordBatchReader.from_stream(made)
stream.read_next_batch()
q = qr.quantize(np.ones((2, 2)), "int8")
batch = pa.record_batch(qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape))
capsule = qr.quantize_arrow(table, "int4").__arrow_c_stream__()
import builtins
builtins.kept = (stream, batch, capsule)
print("end")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
