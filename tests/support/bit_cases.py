# SPDX-License-Identifier: Apache-2.0
"""Quantizations whose results must not depend on where and how they run, and their digests.

    bit_cases.py    print a JSON object: what ran here, and the digest of each case for each number
                    of threads, with the caller's floating-point mode as it is and at its worst

The tests start it with QUARROW_FORCE_ISA and QUARROW_EXECUTOR set, and compare with the digests of
the reference.
"""

import ctypes
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference import Fields, Stored
from value_kinds import values_of

THREADS = (1, 2, 3, 4)
Case = tuple[NDArray[Any], Fields]


def cases() -> dict[str, Case]:
    """Return inputs of several tiles and of few elements, and the formats to try on them."""
    inputs: dict[str, NDArray[Any]] = {
        "several tiles": values_of("normal", (90, 1531)),
        "mixed magnitudes": values_of("mixed_magnitudes", (60, 131)),
        "denormal": values_of("denormal", (300, 331)),
        "least normal": values_of("least_normal", (300, 331)),
        "long rows": values_of("normal", (2, 70_001)),
        "float16": values_of("normal", (90, 1531)).astype(np.float16),
        "float16 denormal": (values_of("normal", (60, 131)) * np.float32(1e-6)).astype(np.float16),
        "float64": values_of("normal", (90, 777)).astype(np.float64) * (1 + 2.0**-30),
        "float64 denormal": values_of("normal", (60, 131)).astype(np.float64) * 1e-40,
        "narrow": values_of("normal", (40, 3)),
        "rows of a group": values_of("normal", (700, 32)),
        "whole steps": values_of("normal", (9, 1024)),
        "whole steps and a rest": values_of("normal", (3, 4104)).astype(np.float16),
        "adapter": values_of("normal", (5000, 16)),
        "adapter of mixed magnitudes": values_of("mixed_magnitudes", (300, 24)),
    }
    formats = {
        "int8": Fields.of("int8"),
        "int8 symmetric tensor": Fields.of("int8", symmetric=True, group_size="tensor"),
        "int4": Fields.of("int4"),
        "int4 symmetric 32": Fields.of("int4", symmetric=True, group_size=32),
        "int4 float16 row": Fields.of("int4", scale_dtype="float16", group_size="row"),
        "int2 bfloat16 64": Fields.of("int2", scale_dtype="bfloat16", group_size=64),
        "int2 unpacked 70": Fields.of("int2", packed=False, group_size=70),
        "int8_rowwise": Fields.of("int8_rowwise"),
    }
    every = {
        f"{format_name}, {input_name}": (w, fields)
        for input_name, w in inputs.items()
        for format_name, fields in formats.items()
    }
    stochastic = Fields.of("int4", rounding="stochastic", seed=9)
    every["int4 stochastic"] = (values_of("normal", (40, 331)), stochastic)
    return every


def digest(
    codes: NDArray[Any],
    scales: NDArray[Any],
    zero_points: NDArray[np.uint8] | None,
    values: NDArray[np.float32],
) -> str:
    """Return one word for all that a case gives."""
    parts = [codes, scales.astype(np.float32), values]
    parts += [] if zero_points is None else [zero_points]
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{part.dtype} {part.shape}".encode())
        whole.update(np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()


def reference_digest(stored: Stored, values: NDArray[np.float32]) -> str:
    """Return the digest that the engine's result must have."""
    return digest(stored.codes, stored.scales, stored.zero_points, values)


@contextmanager
def hostile_mode() -> Iterator[None]:
    """Flush denormals and round up on this thread, on x86-64 Linux.

    glibc's fenv_t ends with MXCSR; 0x8040 are FTZ and DAZ, 0x4000 is rounding up.
    """
    libm = ctypes.CDLL("libm.so.6")
    saved = (ctypes.c_uint32 * 8)()
    if libm.fegetenv(saved) != 0:
        raise OSError
    hostile = (ctypes.c_uint32 * 8)(*saved)
    hostile[7] |= 0x8040 | 0x4000
    libm.fesetenv(hostile)
    try:
        tiny, one = np.array([2.0**-149], np.float32), np.ones(1, np.float32)
        assert not (tiny + tiny).any(), "denormals are not flushed"
        assert (one + np.float32(2.0**-30) > one).all(), "sums are not rounded up"
        yield
    finally:
        libm.fesetenv(saved)


def run(w: NDArray[Any], fields: Fields, threads: int) -> tuple[str, str]:
    """Return a case's digest and the instruction set that ran it."""
    from bit_identity import engine

    q = engine(w, fields, threads=threads)
    return result_digest(q, threads), q.stats.isa


def result_digest(q: Any, threads: int) -> str:
    """Return the digest of what the engine made."""
    return digest(q.codes, q.scales, q.zero_points, q.dequantize(threads=threads))


def run_batch(threads: int) -> dict[str, str]:
    """Return the digests of all cases in one batch.

    But for stochastic rounding: a layer of a batch has a name, and its bits depend on it.
    """
    import quarrow as qr
    from bit_identity import as_format

    nearest = {name: case for name, case in cases().items() if case[1].rounding == "nearest"}
    formats = {name: as_format(fields) for name, (_, fields) in nearest.items()}
    layers = {name: w for name, (w, _) in nearest.items()}
    r = qr.quantize_batch(layers, "int8", rules=formats.__getitem__, threads=threads)
    return {name: result_digest(q, threads) for name, q in r.items()}


def main() -> None:
    """Run every case here and print what came out."""
    import platform

    import quarrow as qr

    isas = set()
    digests: dict[str, dict[str, str]] = {}
    can_change = platform.machine() == "x86_64" and sys.platform == "linux"
    for name, (w, fields) in cases().items():
        digests[name] = {}
        for threads in THREADS:
            digests[name][f"{threads} threads"], isa = run(w, fields, threads)
            isas.add(isa)
            if can_change:
                with hostile_mode():
                    found, _ = run(w, fields, threads)
                digests[name][f"{threads} threads, hostile mode"] = found
    for threads in (*THREADS, 8):
        for name, found in run_batch(threads).items():
            digests[name][f"in a batch, {threads} threads"] = found
    print(json.dumps({"isas": sorted(isas), "info": qr.info(), "digests": digests}))


if __name__ == "__main__":
    main()
