# SPDX-License-Identifier: Apache-2.0
"""Jobs on tensors in memory."""

import logging
import pickle
from array import array
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import quarrow as qr
from numpy.typing import NDArray

from tests.faults.job import Job, JobKind

# What tensors in memory can meet; the rest of the calls are the interpreter's own.
CALLS = ("new", "malloc", "mmap", "pthread_create")
# Beyond 512 KB a second thread is worth starting.
WIDE = (200, 700)


def weights(*shape: int, seed: int = 1, dtype: str = "float32") -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class Exporter:
    """An array that is read by DLPack."""

    def __init__(self, w: NDArray[Any]) -> None:
        self._w = w

    def __dlpack__(self, **options: Any) -> Any:
        return self._w.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._w.__dlpack_device__()


def some_layers() -> dict[str, NDArray[Any]]:
    return {
        "a.weight": weights(6, 70),
        "b.weight": weights(5, 128, seed=2, dtype="float16"),
        "norm.weight": weights(40, seed=3),
        "c.weight": weights(3, 4, 3, 3, seed=4, dtype="float64"),
    }


def quantize(_: Path) -> Job:
    w, narrow = weights(9, 100), weights(4, 64, dtype="float16")
    out = qr.quantize(w, "int8")

    def run() -> object:
        stochastic = qr.quantize(w, "int4", name="s", rounding="stochastic", seed=7)
        return [
            stochastic,
            qr.quantize(narrow, qr.Format("int2", group_size=32, scale_dtype="float16")),
            qr.quantize(narrow.T, "int8_rowwise", copy=True),
            qr.quantize(w, "int8", out=out),
            tuple(stochastic.error(w)),
            repr(stochastic),
        ]

    return Job(run)


def quantize_wide(_: Path) -> Job:
    w = weights(*WIDE)
    return Job(lambda: qr.quantize(w, "int4", threads=2))


def refuse(_: Path) -> Job:
    """Errors are made of words, which take memory as well."""
    damaged = weights(9, 100)
    damaged[3, 7] = np.nan
    layers = {"good": weights(4, 32), "bad": damaged}

    def run() -> object:
        said = []
        for call in (
            lambda: qr.quantize(damaged, "int4", name="bad"),
            lambda: qr.quantize(damaged.astype("int32"), "int4"),
            lambda: qr.quantize(damaged, "int5"),
            lambda: qr.quantize(damaged, "int4", group_size=-1),
            lambda: qr.quantize_batch(layers, "int8"),
        ):
            try:
                call()
            except qr.QuarrowError as error:
                said.append(repr(error))
        errors = qr.quantize_batch(layers, "int8", on_error="skip").errors
        return [said, {name: repr(error) for name, error in errors.items()}]

    return Job(run)


def dequantize(_: Path) -> Job:
    q = qr.quantize(weights(9, 100), "int4")
    row = qr.quantize(weights(9, 100, dtype="float16"), "int8_rowwise")
    out = np.empty((9, 100), np.float16)

    def run() -> object:
        return [q.dequantize(), qr.dequantize(q, "float16", out), row.dequantize("float16")]

    return Job(run)


def dequantize_wide(_: Path) -> Job:
    q = qr.quantize(weights(*WIDE), "int4")
    return Job(lambda: qr.dequantize(q, threads=2))


def dequantize_batch(_: Path) -> Job:
    batch = qr.quantize_batch(some_layers(), "int8")
    out = {name: np.empty(q.shape, "f4") for name, q in batch.items()}
    like = np.empty(1, "f8")

    def run() -> object:
        return [
            list(qr.dequantize_batch(batch, "float16").items()),
            list(qr.dequantize_batch(batch, out=out).items()),
            list(qr.dequantize_batch(batch, like=like).items()),
        ]

    return Job(run)


def inputs(_: Path) -> Job:
    """Ways in that are no numpy array, and ways out that are none."""
    w = weights(9, 100)
    lists = {"list": [[0.5, -1.0], [2.0, 3.0]]}
    logger = logging.getLogger("quarrow")

    def run() -> object:
        logger.setLevel(logging.DEBUG)
        try:
            return [
                qr.quantize(Exporter(w), "int4"),
                qr.quantize(w.astype(ml_dtypes.bfloat16), "int8_rowwise").dequantize("bfloat16"),
                qr.quantize(array("d", [1.0, -2.0, 0.25]), "int8", group_size="row"),
                qr.legacy.quantize(lists, bit_width=4),
                qr.metrics()["quantize"].errors >= 0,
            ]
        finally:
            logger.setLevel(logging.NOTSET)

    return Job(run)


def values(_: Path) -> Job:
    """What is done with a quantized tensor besides."""
    q = qr.quantize(weights(9, 100), "int4", name="layer")
    batch = qr.quantize_batch(some_layers(), "int8")

    def run() -> object:
        rebuilt = qr.QuantizedTensor(q.codes, q.scales, q.zero_points, q.format, q.shape)
        return [
            pickle.loads(pickle.dumps(q)),
            rebuilt == q,
            q.copy(),
            dict(pickle.loads(pickle.dumps(batch)).items()),
            repr(batch.copy()),
            [repr(each) for each in qr.formats()],
            qr.Format("int4").replace(group_size=64).fields(),
            q.stats.bytes_in,
        ]

    return Job(run)


def batch(_: Path) -> Job:
    layers = some_layers()

    def run() -> object:
        rules = [("norm", None), ("b", "int8_rowwise")]
        result = qr.quantize_batch(layers, "int4", rules=rules, progress=lambda *_: None)
        return [dict(result.items()), result.stats.bytes_out]

    return Job(run)


def batch_wide(_: Path) -> Job:
    layers = {f"{i}.weight": weights(60, 700, seed=i) for i in range(5)}

    def run() -> object:
        return dict(qr.quantize_batch(layers, "int4", threads=2).items())

    return Job(run)


def table_of(layers: dict[str, NDArray[Any]]) -> pa.Table:
    return pa.table(
        {
            "layer_name": pa.array(list(layers)),
            "weights": pa.array([w.ravel() for w in layers.values()], pa.list_(pa.float32())),
            "shape": pa.array([list(w.shape) for w in layers.values()], pa.list_(pa.int64())),
        }
    )


def arrow(_: Path) -> Job:
    table = table_of(some_layers())
    kept = qr.quantize_batch(some_layers(), "int2")

    def run() -> object:
        result: Any = qr.quantize_arrow(table, "int4", rules=[("norm", None)])
        return [
            result.to_pyarrow(),
            qr.quantize_pyarrow(table, "int8"),
            pa.table(kept),
            pa.record_batch(kept["a.weight"]),
        ]

    return Job(run)


def arrow_stream(_: Path) -> Job:
    table = table_of({**some_layers(), "wide.weight": weights(*WIDE)})

    def run() -> object:
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2))
        result: Any = qr.quantize_arrow(reader, "int4", threads=2)
        return pa.RecordBatchReader.from_stream(result).read_all()

    return Job(run)


def state_dict(_: Path) -> Job:
    layers = some_layers()
    kept = qr.quantize_state_dict(layers, "int4")

    def run() -> object:
        new = qr.quantize_state_dict(layers, "int8_rowwise", dtype="float16")
        return [new, new.metadata, qr.dequantize_state_dict(kept)]

    return Job(run)


KINDS = {
    "quantize": JobKind(quantize, CALLS),
    "quantize_wide": JobKind(quantize_wide, CALLS),
    "quantize_cold": JobKind(quantize_wide, CALLS, cold=True, slow=True),
    "refuse": JobKind(refuse, CALLS),
    "dequantize": JobKind(dequantize, CALLS),
    "dequantize_wide": JobKind(dequantize_wide, CALLS),
    "dequantize_batch": JobKind(dequantize_batch, CALLS),
    "inputs": JobKind(inputs, CALLS),
    "values": JobKind(values, CALLS),
    "batch": JobKind(batch, CALLS),
    "batch_wide": JobKind(batch_wide, CALLS),
    "batch_cold": JobKind(batch_wide, CALLS, cold=True, slow=True),
    "arrow": JobKind(arrow, CALLS),
    "arrow_stream": JobKind(arrow_stream, CALLS),
    "state_dict": JobKind(state_dict),
}
