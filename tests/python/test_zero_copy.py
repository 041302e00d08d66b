# SPDX-License-Identifier: Apache-2.0
"""Inputs are read where they lie, and a call takes no memory but its results'."""

import array
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memray
import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from numpy.typing import NDArray
from quarrow import _core
from workload import HANG_SECONDS


def address(w: NDArray[Any]) -> int:
    return int(w.__array_interface__["data"][0])


class OnlyDLPack:
    """An array that nothing but DLPack can read."""

    def __init__(self, w: NDArray[Any]) -> None:
        self._w = w

    def __dlpack__(self, **options: Any) -> Any:
        return self._w.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._w.__dlpack_device__()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numpy_buffers_and_dlpack_are_read_where_they_lie(dtype: type) -> None:
    w: NDArray[Any] = np.ones((6, 10), dtype)
    for view in (w, w[1:], w[::2], w[::-1], w[2:4, 3:9], w.reshape(3, 2, 10), w.ravel()[7:]):
        assert _core.address_read(view) == address(view)
        assert _core.address_read(OnlyDLPack(view)) == address(view)
    assert _core.address_read(w.data) == address(w)
    read_only = w.view()
    read_only.flags.writeable = False
    assert _core.address_read(read_only) == address(w)


def test_other_exporters_are_read_where_they_lie() -> None:
    numbers = array.array("d", [1.0, 2.0])
    assert _core.address_read(numbers) == numbers.buffer_info()[0]
    brain = np.ones(4, pytest.importorskip("ml_dtypes").bfloat16)
    assert _core.address_read(brain) == address(brain)


def test_a_mapped_file_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    np.arange(1024, dtype=np.float32).tofile(path)
    mapped = np.memmap(path, np.float32, mode="r", shape=(32, 32))
    assert _core.address_read(mapped) == address(mapped)


def test_a_tensor_of_a_mapped_checkpoint_is_read_where_it_lies(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    w = np.arange(64, dtype=np.float32).reshape(8, 8)
    save_file({"a": w}, tmp_path / "a.safetensors")
    with qr.open(tmp_path / "a.safetensors", io="mmap") as checkpoint:
        tensor = checkpoint["a"]
        assert not isinstance(tensor, qr.QuantizedTensor)
        assert _core.address_read(tensor) == address(tensor.numpy())
        assert _core.address_read(tensor) == _core.address_read(tensor)


def arrow_addresses(source: Any) -> list[int]:
    columns = {"name_column": "layer_name", "weights_column": "weights", "shape_column": "shape"}
    return _core.ArrowSource(source.__arrow_c_stream__(), **columns).addresses_read()


def lists_of(items: Any, size: int, kind: str) -> Any:
    """Return lists of one size over the same items."""
    if kind == "fixed_size_list":
        return pa.FixedSizeListArray.from_arrays(items, size)
    integer = pa.int64() if kind.startswith("large") else pa.int32()
    offsets = pa.array(range(0, len(items) + 1, size), integer)
    sizes = pa.array([size] * (len(offsets) - 1), integer)
    return {
        "list": lambda: pa.ListArray.from_arrays(offsets, items),
        "large_list": lambda: pa.LargeListArray.from_arrays(offsets, items),
        "list_view": lambda: pa.ListViewArray.from_arrays(offsets[:-1], sizes, items),
        "large_list_view": lambda: pa.LargeListViewArray.from_arrays(offsets[:-1], sizes, items),
    }[kind]()


KINDS = ["list", "large_list", "list_view", "large_list_view", "fixed_size_list"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrow_weights_are_read_where_they_lie(kind: str, dtype: type) -> None:
    values = pa.array(np.arange(20, dtype=dtype))
    start = values.buffers()[1].address
    size = np.dtype(dtype).itemsize
    table = pa.table({"layer_name": list("abcd"), "weights": lists_of(values, 5, kind)})
    expected = [start + 5 * row * size for row in range(4)]
    assert arrow_addresses(table) == expected
    assert arrow_addresses(table.slice(1, 2)) == expected[1:3]


@pytest.mark.parametrize("outer", KINDS)
@pytest.mark.parametrize("inner", KINDS)
def test_arrow_matrices_are_read_where_they_lie(outer: str, inner: str) -> None:
    values = pa.array(np.arange(40, dtype=np.float32))
    weights = lists_of(lists_of(values, 5, inner), 2, outer)
    table = pa.table({"layer_name": list("abcd"), "weights": weights})
    expected = [values.buffers()[1].address + 40 * row for row in range(4)]
    assert arrow_addresses(table) == expected
    assert arrow_addresses(table.slice(1, 2)) == expected[1:3]
    result = qr.quantize_arrow(table, "int8")
    assert isinstance(result, qr.ArrowBatch)
    assert result.stats.bytes_copied == 0


def test_weights_of_a_mapped_arrow_file_are_read_where_they_lie(tmp_path: Path) -> None:
    table = pa.table({"layer_name": ["a", "b"], "weights": [[1.0, 2.0], [3.0]]})
    path = str(tmp_path / "layers.arrow")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pa.memory_map(path) as mapped, pa.ipc.open_file(mapped) as reader:
        whole = mapped.read_buffer()
        first, second = arrow_addresses(reader.read_all())
        assert whole.address <= first < whole.address + whole.size
        assert second == first + 16


def test_what_would_need_a_copy_is_refused_not_copied() -> None:
    for w in (np.ones((4, 4), np.float32).T, np.ones((4, 8), np.float32)[:, ::2]):
        with pytest.raises(qr.InvalidInputError, match="not contiguous"):
            _core.address_read(w)


# 64 MB of input: what a fresh process took at its highest, over its imports and inputs. Every block
# beyond 128 KB is given back when it is freed, so that a copy cannot hide in memory used before.
MEASURE = """
import sys
import numpy as np, quarrow as qr
way = sys.argv[1]
count = 64
layers = {f"l{i}": np.full((256, 1024), 0.5 + i, np.float32) for i in range(count)}
whole = np.full((64 * 256, 1024), 0.5, np.float32)
qr.quantize_batch({"warm": layers["l0"][:4], "up": whole[:512]}, "int4")

def highest():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))

with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = highest()
if way == "single":
    q = qr.quantize(whole, "int4")
elif way == "into":
    out = np.empty((64 * 256, 512), "B"), np.empty((64 * 256, 8), "f"), np.empty((64 * 256, 8), "B")
    q = qr.quantize(whole, "int4", out=out)
elif way == "batch":
    q = qr.quantize_batch(layers, "int4")
else:
    q = qr.quantize(np.array(whole), "int4")
print(highest() - before, q.nbytes)
"""


def grown(way: str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, way],
        env={"MALLOC_MMAP_THRESHOLD_": "131072", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    more, results = map(int, done.stdout.split())
    print(f"{way}: {more / 1e6:.2f} MB for results of {results / 1e6:.2f} MB")
    return more, results


@pytest.mark.memory
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="no /proc to measure peaks with"
)
@pytest.mark.parametrize("way", ["single", "into", "batch"])
def test_a_call_takes_its_results_and_a_megabyte(way: str) -> None:
    more, results = grown(way)
    assert results > 64 << 17
    assert more <= results + (1 << 20)


def allocated_at_peak(call: Callable[[], Any], folder: Path) -> int:
    """Return the bytes that memray sees, of C++ and of Python."""
    with memray.Tracker(folder / "trace", native_traces=False):
        made = call()
    records = memray.FileReader(folder / "trace").get_high_watermark_allocation_records()
    total = sum(record.size for record in records)
    assert made is not None
    return total


@pytest.mark.memory
@pytest.mark.parametrize("way", ["single", "batch", "copied"])
def test_memray_sees_the_results_and_a_megabyte(way: str, tmp_path: Path) -> None:
    whole = np.full((64 * 256, 1024), 0.5, np.float32)
    layers = {f"l{i}": whole[256 * i : 256 * (i + 1)] for i in range(64)}
    calls: dict[str, Callable[[], Any]] = {
        "single": lambda: qr.quantize(whole, "int4"),
        "batch": lambda: qr.quantize_batch(layers, "int4"),
        "copied": lambda: qr.quantize(np.array(whole), "int4"),
    }
    results = calls[way]().nbytes
    total = allocated_at_peak(calls[way], tmp_path)
    if way == "copied":
        assert total > results + whole.nbytes
    else:
        assert results <= total <= results + (1 << 20)


@pytest.mark.memory
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="no /proc to measure peaks with"
)
def test_the_measure_sees_a_copy() -> None:
    more, results = grown("copied")
    assert more > results + (60 << 20)
