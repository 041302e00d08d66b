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
from reference.format_reference import FormatReference, references, variants
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


def formats() -> Iterator[tuple[FormatReference, qr.Format]]:
    """Give every registered format in the ways that files carry, integers in more of them."""
    for of, fields in variants():
        # A layer of a batch has a name, on which the bits of stochastic rounding depend; and no
        # file has a byte for each narrow code.
        same_everywhere = fields.get("rounding") != "stochastic" and fields.get("packed", True)
        if of.in_files(fields) and same_everywhere:
            yield of, qr.Format(of.format, **fields)
    for name in ("int8", "int4", "int2"):
        for symmetric in (False, True):
            for group_size in (128, "row"):
                yield (
                    references()[name],
                    qr.Format(name, symmetric=symmetric, group_size=group_size),
                )


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


def compare(
    of: FormatReference, format_: qr.Format, threads: int, folder: Path
) -> Iterator[tuple[str, bool]]:
    """Give each comparison with the single calls on one thread."""
    given = {name: np.clip(w, -of.most, of.most).astype(w.dtype) for name, w in layers().items()}
    single = {name: qr.quantize(w, format_, name=name, threads=1) for name, w in given.items()}
    for name, w in given.items():
        again = qr.quantize(w, format_, name=name, threads=threads)
        yield f"single {name}", again == single[name]
    batch = qr.quantize_batch(given, format_, threads=threads)
    yield "batch", batch == single
    for name, made in through_arrow(given, format_, threads):
        yield f"arrow {name}", made == content(single[name])
    save_file(given, folder / "in", {"general.architecture": "flux"})
    kinds = [each for each in ("gguf", "safetensors") if is_carried(format_, folder, each)]
    yield "some kind of file", bool(kinds)
    for kind in kinds:
        yield from compare_file(single, format_, threads, folder, kind)
    if "safetensors" not in kinds:
        return  # which a state dict is
    every = [("", format_)]
    entries = qr.quantize_state_dict(given, format_, rules=every, threads=threads)
    in_file, _ = raw_tensors(folder / "out.safetensors")
    yield "state dict names", set(entries) == set(in_file)
    for name, (_, _, data) in in_file.items():
        yield f"state dict {name}", data == entries[name].tobytes()


def is_carried(format_: qr.Format, folder: Path, kind: str) -> bool:
    try:
        qr.quantize_file(folder / "in", folder / f"out.{kind}", format_, dry_run=True)
    except qr.UnsupportedFormatError:
        return False
    return True


def compare_file(
    single: dict[str, qr.QuantizedTensor],
    format_: qr.Format,
    threads: int,
    folder: Path,
    kind: str,
) -> Iterator[tuple[str, bool]]:
    out = folder / f"out.{kind}"
    every = [("", format_)]
    qr.quantize_file(folder / "in", out, format_, rules=every, threads=threads, sync=False)
    with qr.open(out) as opened:
        for name, q in single.items():
            # What a plain cast was no file says.
            stored = opened[name]
            assert isinstance(stored, qr.QuantizedTensor)
            same = stored.format == q.format and stored.shape == q.shape
            yield f"{kind} {name}", same and content(stored) == content(q)


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
            for of, format_ in formats():
                for what, same in compare(of, format_, threads, Path(folder)):
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
