# SPDX-License-Identifier: Apache-2.0
"""The fuzz target of the Python package: ``python fuzz/fuzz_python.py [libFuzzer's options]``."""

import json
import random
import sys

import atheris

with atheris.instrument_imports(include=["quarrow", "python_target"]):
    from python_target import Target

LENGTH_BYTES = 8
SUFFIXES = [".weight", ".weight_scale", ".weight_packed", ".weight_shape", ".comfy_quant", ".bias"]
DTYPES = ["BOOL", "U8", "I8", "F8_E4M3", "F4", "BF16", "F16", "F32", "F64", "I32", "I64", "C64"]


def change_shape(header: dict[str, object], draw: random.Random) -> None:
    """Change one tensor, or the shape that a layer is said to have had."""
    name = draw.choice(list(header))
    entry = header[name]
    if name == "__metadata__" and isinstance(entry, dict):
        shape = [draw.choice([1, 1, 2, 8, 64]) for _ in range(draw.choice([2, 3, 64, 65, 200]))]
        layers = {"l.weight": {"dtype": draw.choice(DTYPES), "shape": shape}}
        entry["quarrow.layers"] = json.dumps(layers)
    elif isinstance(entry, dict) and isinstance(entry.get("shape"), list):
        kind = draw.randrange(4)
        if kind == 0:
            entry["shape"] += [1] * draw.choice([1, 60, 64, 70, 130])
        elif kind == 1 and entry["shape"]:
            entry["shape"][draw.randrange(len(entry["shape"]))] = draw.choice([0, 1, 2, 8, 2**40])
        elif kind == 2:
            entry["dtype"] = draw.choice(DTYPES)
        else:
            header[name.split(".")[0] + draw.choice(SUFFIXES)] = header.pop(name)


def mutate(data: bytes, limit: int, seed: int) -> bytes:
    """Change a file such that most of its changes get past the header's frame."""
    draw = random.Random(seed)
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    if len(data) <= LENGTH_BYTES or length > len(data) or draw.random() < 0.2:
        return bytes(atheris.Mutate(data, limit))
    head, body = data[LENGTH_BYTES : LENGTH_BYTES + length], data[LENGTH_BYTES + length :]
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        header = None
    if draw.random() < 0.3:
        body = bytes(atheris.Mutate(body, max(len(body), 1)))
    elif isinstance(header, dict) and header:
        change_shape(header, draw)
        head = json.dumps(header).encode()
    else:
        head = bytes(atheris.Mutate(head, max(limit - LENGTH_BYTES - len(body), 1)))
    return (len(head).to_bytes(LENGTH_BYTES, "little") + head + body)[:limit]


if __name__ == "__main__":
    atheris.Setup(sys.argv, Target(), custom_mutator=mutate)
    atheris.Fuzz()
