# SPDX-License-Identifier: Apache-2.0
"""Calls of every entry point, and what the metrics must say of them."""

import contextlib
import functools
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import quarrow as qr
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

FORMAT = "int8_rowwise"
# The defaults leave small tensors.
EVERY_FLOAT: list[tuple[str, str | None]] = [("", FORMAT)]


class Done(NamedTuple):
    """What one call did."""

    layers: int = 0
    bytes_in: int = 0
    copied: int = 0
    errors: int = 0


# Entry points in the order in which they were called.
Calls = list[tuple[str, Done]]


class Layer(NamedTuple):
    """A tensor to quantize, and what is the matter with it."""

    rows: int
    cols: int
    dtype: str
    kind: str

    @property
    def array(self) -> NDArray[Any]:
        if self.kind == "integers":
            return np.ones((self.rows, self.cols), np.int32)
        strided = self.kind.startswith("strided")
        shape = (self.cols, self.rows) if strided else (self.rows, self.cols)
        values = np.linspace(-1, 1, self.rows * self.cols).astype(self.dtype).reshape(shape)
        if self.kind.endswith("nan"):
            values[-1, -1] = np.nan
        return values.T if strided else values

    @property
    def bytes(self) -> int:
        return self.rows * self.cols * np.dtype(self.dtype).itemsize

    def must_be_copied(self) -> bool:
        return self.kind.startswith("strided")

    def fails(self) -> bool:
        return self.kind.endswith("nan")

    def is_readable(self, *, copy: bool) -> bool:
        return self.kind != "integers" and (copy or not self.must_be_copied())


def layers() -> st.SearchStrategy[Layer]:
    return st.builds(
        Layer,
        st.integers(2, 5),
        st.integers(2, 40),
        st.sampled_from(["f2", "f4", "f8"]),
        st.sampled_from(["plain", "plain", "strided", "nan", "strided nan", "integers"]),
    )


def several() -> st.SearchStrategy[list[Layer]]:
    return st.lists(layers(), max_size=5)


def named(several: list[Layer]) -> dict[str, NDArray[Any]]:
    return {f"{index}.weight": layer.array for index, layer in enumerate(several)}


def copied(several: list[Layer]) -> int:
    return sum(layer.bytes for layer in several if layer.must_be_copied())


def good(several: list[Layer], *, copied: int, errors: int = 0) -> Done:
    return Done(len(several), sum(layer.bytes for layer in several), copied, errors)


# Each calls one entry point (some another before it) and says what that must have done.


def quantize(layer: Layer, *, copy: bool) -> Calls:
    with contextlib.suppress(qr.InvalidInputError):
        qr.quantize(layer.array, "int4", copy=copy)
    readable = layer.is_readable(copy=copy)
    was_copied = copied([layer]) if readable else 0
    if not readable or layer.fails():
        return [("quantize", Done(copied=was_copied, errors=1))]
    return [("quantize", good([layer], copied=was_copied))]


def dequantize(layer: Layer, *, into: str) -> Calls:
    values = np.ones((layer.rows, layer.cols), layer.dtype)
    q = qr.quantize(values, "int4")
    with contextlib.suppress(qr.InvalidInputError):
        q.dequantize(into)
        qr.dequantize(q, into)
    done = Done(errors=1) if into == "float64" else Done(1, q.nbytes)
    calls = 1 if into == "float64" else 2
    return [("quantize", Done(1, values.nbytes)), *[("dequantize", done)] * calls]


def quantize_batch(several: list[Layer], *, copy: bool, on_error: str) -> Calls:
    with contextlib.suppress(qr.InvalidInputError):
        qr.quantize_batch(named(several), "int8", copy=copy, on_error=on_error)
    unreadable = [not layer.is_readable(copy=copy) for layer in several]
    fine = [layer for layer in several if layer.is_readable(copy=copy) and not layer.fails()]
    failed = len(several) - len(fine)
    if on_error == "skip":
        was_copied = copied(several) if copy else 0
        return [("quantize_batch", good(fine, copied=was_copied, errors=failed))]
    # The first layer that cannot be read ends the reading.
    read = several[: unreadable.index(True)] if any(unreadable) else several
    was_copied = copied(read) if copy else 0
    if failed:
        return [("quantize_batch", Done(copied=was_copied, errors=1))]
    return [("quantize_batch", good(fine, copied=was_copied))]


def quantize_arrow(several: list[Layer], *, streamed: bool, on_error: str) -> Calls:
    """Call it for float64 lists; each batch of a stream is a call."""
    given = [layer for layer in several if layer.kind != "integers"]
    arrays = [layer.array.astype(np.float64) for layer in given]
    table = pa.table(
        {
            "layer_name": pa.array([str(index) for index in range(len(given))], pa.string()),
            "weights": pa.array([array.ravel() for array in arrays], pa.list_(pa.float64())),
        }
    )
    source = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(2))
    with contextlib.suppress(qr.InvalidInputError):
        result: Any = qr.quantize_arrow(source if streamed else table, "int8", on_error=on_error)
        if streamed:
            list(result)
    done: Calls = []
    batches = [given[at : at + 2] for at in range(0, len(given), 2)] if streamed else [given]
    for batch in batches:
        fine = [layer for layer in batch if not layer.fails()]
        if len(fine) < len(batch) and on_error == "raise":
            return [*done, ("quantize_arrow", Done(errors=1))]
        doubles = sum(8 * layer.rows * layer.cols for layer in fine)
        counts = Done(len(fine), doubles, errors=len(batch) - len(fine))
        done.append(("quantize_arrow", counts))
    return done


def legacy_quantize(several: list[Layer], *, ragged: bool) -> Calls:
    lists = {name: array.tolist() for name, array in named(several).items()}
    if ragged:
        lists["ragged"] = [[1.0, 2.0], [3.0]]
    with contextlib.suppress(qr.InvalidInputError):
        qr.legacy.quantize(lists)
    failing = [layer.fails() for layer in several]
    tried = several[: failing.index(True) + 1] if any(failing) else several
    # Every list becomes float64, integers too.
    total = sum(8 * layer.rows * layer.cols for layer in tried)
    if any(failing) or ragged:
        return [("legacy.quantize", Done(copied=total, errors=1))]
    return [("legacy.quantize", Done(len(several), total, total))]


def of_a_job(several: list[Layer], *, on_error: str, copied: int) -> Done:
    """Say what a job over tensors does, which quantizes those of floats."""
    floats = [layer for layer in several if layer.kind != "integers"]
    fine = [layer for layer in floats if not layer.fails()]
    if on_error == "raise" and len(fine) < len(floats):
        return Done(copied=copied, errors=1)
    return good(fine, copied=copied, errors=len(floats) - len(fine))


def of_the_way_back(several: list[Layer], entries: dict[str, Any], *, into: str | None) -> Done:
    if into == "int8":
        return Done(errors=1)
    kept = [layer.kind == "integers" or layer.fails() for layer in several]
    stored = [each for name, each in entries.items() if not kept[int(name.split(".")[0])]]
    return Done(kept.count(False), sum(each.nbytes for each in stored))


def quantize_state_dict(several: list[Layer], *, on_error: str) -> Calls:
    tensors = named(several)
    with contextlib.suppress(qr.NonFiniteError):
        qr.quantize_state_dict(tensors, FORMAT, rules=EVERY_FLOAT, on_error=on_error)
    return [("quantize_state_dict", of_a_job(several, on_error=on_error, copied=copied(several)))]


def dequantize_state_dict(several: list[Layer], *, into: str | None) -> Calls:
    entries = qr.quantize_state_dict(named(several), FORMAT, rules=EVERY_FLOAT, on_error="skip")
    with contextlib.suppress(qr.InvalidInputError):
        qr.dequantize_state_dict(entries, dtype=into)
    # What stayed as it was is copied once more.
    again = sum(each.nbytes for each in entries.values() if not each.flags.c_contiguous)
    before = of_a_job(several, on_error="skip", copied=copied(several))
    done = of_the_way_back(several, entries, into=into)
    return [
        ("quantize_state_dict", before),
        ("dequantize_state_dict", done._replace(copied=again)),
    ]


@contextlib.contextmanager
def file_of(several: list[Layer]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        arrays = {name: np.ascontiguousarray(array) for name, array in named(several).items()}
        save_file(arrays, Path(folder, "in"))
        yield Path(folder, "in")


def quantize_file(several: list[Layer], *, on_error: str, dry_run: bool) -> Calls:
    with file_of(several) as path, contextlib.suppress(qr.NonFiniteError):
        qr.quantize_file(
            path,
            path.with_name("out"),
            FORMAT,
            rules=EVERY_FLOAT,
            on_error=on_error,
            dry_run=dry_run,
            sync=False,
        )
    done = Done() if dry_run else of_a_job(several, on_error=on_error, copied=0)
    return [("quantize_file", done)]


def dequantize_file(several: list[Layer], *, into: str | None) -> Calls:
    with file_of(several) as path:
        out = path.with_name("out")
        qr.quantize_file(path, out, FORMAT, rules=EVERY_FLOAT, on_error="skip", sync=False)
        with contextlib.suppress(qr.InvalidInputError):
            qr.dequantize_file(out, path.with_name("back"), dtype=into, sync=False)
        done = of_the_way_back(several, load_file(out), into=into)
    before = of_a_job(several, on_error="skip", copied=0)
    return [("quantize_file", before), ("dequantize_file", done)]


def calls() -> st.SearchStrategy[Callable[[], Calls]]:
    """Draw one of the functions above, with its arguments."""
    on_error = st.sampled_from(["raise", "skip"])
    into = st.sampled_from([None, "float16", "int8"])

    def drawn(function: Callable[..., Calls], *arguments: Any, **options: Any) -> Any:
        return st.builds(functools.partial, st.just(function), *arguments, **options)

    return st.one_of(
        drawn(quantize, layers(), copy=st.booleans()),
        drawn(dequantize, layers(), into=st.sampled_from(["float32", "float16", "float64"])),
        drawn(quantize_batch, several(), copy=st.booleans(), on_error=on_error),
        drawn(quantize_arrow, several(), streamed=st.booleans(), on_error=on_error),
        drawn(legacy_quantize, several(), ragged=st.booleans()),
        drawn(quantize_state_dict, several(), on_error=on_error),
        drawn(dequantize_state_dict, several(), into=into),
        drawn(quantize_file, several(), on_error=on_error, dry_run=st.booleans()),
        drawn(dequantize_file, several(), into=into),
    )


def totals(calls: Calls) -> dict[str, tuple[int, ...]]:
    sums: dict[str, tuple[int, ...]] = defaultdict(lambda: (0,) * 5)
    for entry, done in calls:
        sums[entry] = tuple(a + b for a, b in zip(sums[entry], (1, *done), strict=True))
    return dict(sums)
