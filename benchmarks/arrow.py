# SPDX-License-Identifier: Apache-2.0
"""What Arrow data costs beside numpy arrays of the same bytes."""

import importlib
import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks.rounds import Case, Row, ratio, run_rounds

INSTALLED = importlib.util.find_spec("pyarrow") is not None
MICROSECONDS_OF_OURS = 10.0
MORE_THAN_NUMPY = 1.03
MEGABYTES = (4, 40, 400)


def record_batch(w: np.ndarray[Any, np.dtype[np.float32]]) -> Any:
    """Return one layer as a row, over the memory of `w`."""
    pa = importlib.import_module("pyarrow")
    weights = pa.LargeListArray.from_arrays(pa.array([0, w.size], pa.int64()), pa.array(w.ravel()))
    return pa.record_batch({"layer_name": ["a"], "weights": weights})


def there_and_back(batch: Any) -> object:
    """Quantize one small layer and export the result; what is not ours is measured apart."""
    result: Any = qr.quantize_arrow(batch, "int4")
    return result.__arrow_c_array__()


def share_rows(rounds: int) -> Iterator[Row]:
    """Measure a call beyond the numpy call and the producer's own export."""
    w = np.random.default_rng(0).standard_normal((1, 4096), np.float32)
    batch = record_batch(w)
    ours = Case("Arrow there and back", partial(there_and_back, batch), 200)
    numpy = Case("numpy", lambda: qr.quantize(w, "int4"), 200)
    producer = Case("pyarrow's export", batch.__arrow_c_array__, 200)
    run_rounds([ours, numpy, producer], rounds)
    share = [
        1e6 * (a - b - c) for a, b, c in zip(ours.wall, numpy.wall, producer.wall, strict=True)
    ]
    milliseconds = float(np.median(ours.wall)) * 1e3
    measured = ratio(share, [1.0] * len(share))
    yield Row("Arrow, our share", milliseconds, measured, "us", MICROSECONDS_OF_OURS)


def column_rows(rounds: int) -> Iterator[Row]:
    """Measure one layer of a size as a column, and as an array."""
    for megabytes in MEGABYTES:
        values = megabytes * 1_000_000 // 4
        w = np.random.default_rng(megabytes).standard_normal((1, values), np.float32)
        batch = record_batch(w)
        arrow = Case("arrow", partial(qr.quantize_arrow, batch, "int4", threads=2))
        numpy = Case("numpy", partial(qr.quantize, w, "int4", threads=2))
        run_rounds([arrow, numpy], max(rounds // 4, 5) if megabytes > 40 else rounds)
        less = [wall - MICROSECONDS_OF_OURS * 1e-6 for wall in arrow.wall]
        milliseconds = float(np.median(arrow.wall)) * 1e3
        measured = ratio(less, numpy.wall)
        yield Row(f"{megabytes} MB column", milliseconds, measured, "of numpy", MORE_THAN_NUMPY)


def arrow_rows(rounds: int) -> Iterator[Row]:
    """Measure both, where pyarrow is installed."""
    if INSTALLED:
        yield from share_rows(rounds)
        yield from column_rows(rounds)
