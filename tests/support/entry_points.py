# SPDX-License-Identifier: Apache-2.0
"""The same layers through every way in.

    entry_points.py    print a JSON object: the instruction set and the executor that ran, how many
                       comparisons were made, and which of them differed

The tests start it with QUARROW_FORCE_ISA and QUARROW_EXECUTOR set.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import quarrow as qr
from checkpoints import raw_tensors
from numpy.typing import NDArray
from safetensors.numpy import save_file
from value_kinds import values_of

THREADS = range(1, 9)
Layers = dict[str, NDArray[Any]]


def layers() -> Layers:
    """Return weights that every container takes: two dimensions, whole groups."""
    return {
        "several_tiles.weight": values_of("normal", (48, 1536)),
        "long_rows.weight": values_of("mixed_magnitudes", (9, 66_048)),
        "half.weight": values_of("normal", (40, 384)).astype(np.float16),
        "double.weight": values_of("uniform", (24, 256)).astype(np.float64),
        "denormal.weight": values_of("denormal", (16, 128)),
    }


def formats() -> list[qr.Format]:
    """Return every registered format, the affine ones in each of their ways that files carry."""
    varied = [
        qr.Format(name, symmetric=symmetric, group_size=group_size)
        for name in ("int8", "int4", "int2")
        for symmetric in (False, True)
        for group_size in (128, "row")
    ]
    others = [each.defaults for each in qr.formats() if each.name not in ("int8", "int4", "int2")]
    casts = [qr.Format(each.name, scaled=False) for each in others if "scaled" in each.fields()]
    return [*varied, *others, *casts]


def through_arrow(
    given: Layers, format_: qr.Format, threads: int
) -> Iterator[tuple[str, dict[str, bytes]]]:
    for name, w in given.items():
        values = pa.array([w.ravel()], pa.list_(pa.from_numpy_dtype(w.dtype)))
        table = pa.table({"layer_name": [name], "weights": values, "shape": [list(w.shape)]})
        result: Any = qr.quantize_arrow(table, format_, threads=threads)
        for row in result.to_pyarrow().to_pylist():
            yield name, {part: as_bytes(row[part]) for part in PARTS if row[part] is not None}


PARTS = ("codes", "scales", "zero_points", "tensor_scale")


def as_bytes(value: Any) -> bytes:
    """Return what Arrow gives for a part, as the engine has it in memory."""
    if isinstance(value, bytes):
        return value
    is_points = isinstance(value, list) and all(isinstance(each, int) for each in value)
    return np.array(value, np.uint8 if is_points else np.float32).tobytes()


def content(q: qr.QuantizedTensor) -> dict[str, bytes]:
    return {
        name: (part.astype(np.float32) if part.dtype == np.float16 else part).tobytes()
        for name, part in q.parts.items()
    }


def compare(format_: qr.Format, threads: int, folder: Path) -> Iterator[tuple[str, bool]]:
    """Give each comparison with the single calls on one thread."""
    given = layers()
    is_block = qr.quantize(np.ones((1, 32), "f"), format_).part_dtypes["codes"].startswith("Q")
    if is_block:  # whose scales are float16
        given = {name: np.clip(w, -6e4, 6e4).astype(w.dtype) for name, w in given.items()}
    single = {name: qr.quantize(w, format_, name=name, threads=1) for name, w in given.items()}
    for name, w in given.items():
        again = qr.quantize(w, format_, name=name, threads=threads)
        yield f"single {name}", again == single[name]
    batch = qr.quantize_batch(given, format_, threads=threads)
    yield "batch", batch == single
    for name, made in through_arrow(given, format_, threads):
        yield f"arrow {name}", made == content(single[name])
    every = [("", format_)]
    out = folder / ("out.gguf" if is_block else "out.safetensors")
    save_file(given, folder / "in", {"general.architecture": "flux"})
    qr.quantize_file(folder / "in", out, format_, rules=every, threads=threads, sync=False)
    with qr.open(out) as opened:
        for name, q in single.items():
            # What a plain cast was no file says.
            stored = opened[name]
            assert isinstance(stored, qr.QuantizedTensor)
            same = stored.format == q.format and stored.shape == q.shape
            yield f"file {name}", same and content(stored) == content(q)
    if is_block:
        return  # which no state dict has
    entries = qr.quantize_state_dict(given, format_, rules=every, threads=threads)
    in_file, _ = raw_tensors(out)
    yield "state dict names", set(entries) == set(in_file)
    for name, (_, _, data) in in_file.items():
        yield f"state dict {name}", data == entries[name].tobytes()


def compare_legacy(threads: int) -> Iterator[tuple[str, bool]]:
    """The list API has one way: one scale a tensor, a byte a code, float64."""
    for name, w in layers().items():
        for bits in (8, 4, 2):
            made = qr.legacy.quantize({name: w[:3].tolist()}, bit_width=bits)[name]
            q = qr.quantize(
                w[:3].astype(np.float64),
                f"int{bits}",
                group_size="tensor",
                packed=False,
                threads=threads,
            )
            assert q.zero_points is not None
            same = made["codes"] == q.codes.ravel().tolist()
            same &= made["scales"] == q.scales.ravel().tolist()
            same &= made["zero_points"] == q.zero_points.ravel().tolist()
            yield f"legacy {name} {bits}", same


def main() -> None:
    """Compare everything here and print what came out."""
    different = []
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for threads in THREADS:
            for format_ in formats():
                for what, same in compare(format_, threads, Path(folder)):
                    count += 1
                    if not same:
                        different.append(f"{what}, {format_!r}, {threads} threads")
            for what, same in compare_legacy(threads):
                count += 1
                if not same:
                    different.append(f"{what}, {threads} threads")
    info = qr.info()
    print(
        json.dumps(
            {
                "isa": info["isa"],
                "executor": info["executor"],
                "count": count,
                "different": different,
            }
        )
    )


if __name__ == "__main__":
    main()
