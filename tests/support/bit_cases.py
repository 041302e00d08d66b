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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference.format_reference import Fields, FormatReference, name_of, variants
from value_kinds import values_of

THREADS = (1, 2, 3, 4)
Case = tuple[NDArray[Any], FormatReference, Fields]


def cases() -> dict[str, Case]:
    """Return inputs of several tiles and of few elements, with every format to try on them."""
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
    return {
        f"{name_of(of.format, fields)}, {input_name}": (cropped, of, fields)
        for of, fields in variants()
        for input_name, w in inputs.items()
        if (cropped := whole_blocks(w, of)).size
    }


def whole_blocks(w: NDArray[Any], of: FormatReference) -> NDArray[Any]:
    """Return the columns that fill blocks, of values that the format can hold."""
    columns = w.shape[1] // of.block * of.block
    cropped: NDArray[Any] = np.clip(w[:, :columns], -of.most, of.most).astype(w.dtype)
    return cropped


def digest(parts: Iterable[NDArray[Any]]) -> str:
    """Return one word for all that a case gives."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{part.dtype.itemsize} {part.shape}".encode())
        whole.update(np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()


def reference_digest(w: NDArray[Any], of: FormatReference, fields: Fields) -> str:
    """Return the digest that the engine's result must have."""
    parts = of.quantize(w, fields, "")
    return digest([*parts.values(), of.dequantize(parts, (w.shape[0], w.shape[1]), fields)])


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


def run(case: Case, threads: int) -> tuple[str, tuple[float, ...], str]:
    """Return a case's digest, its error figures and the instruction set that ran it."""
    import quarrow as qr

    w, of, fields = case
    q = qr.quantize(w, qr.Format(of.format, **fields), threads=threads)
    return result_digest(q, threads), q.error(w), q.stats.isa


def result_digest(q: Any, threads: int) -> str:
    """Return the digest of what the engine made."""
    return digest([*q.parts.values(), q.dequantize(threads=threads)])


def run_batch(threads: int) -> dict[str, str]:
    """Return the digests of all cases in one batch.

    But for stochastic rounding: a layer of a batch has a name, and its bits depend on it.
    """
    import quarrow as qr

    nearest = {
        name: case for name, case in cases().items() if case[2].get("rounding") != "stochastic"
    }
    formats = {name: qr.Format(of.format, **fields) for name, (_, of, fields) in nearest.items()}
    layers = {name: w for name, (w, _, _) in nearest.items()}
    r = qr.quantize_batch(layers, "int8", rules=formats.__getitem__, threads=threads)
    return {name: result_digest(q, threads) for name, q in r.items()}


def main() -> None:
    """Run every case here and print what came out."""
    import platform

    import quarrow as qr

    isas = set()
    digests: dict[str, dict[str, str]] = {}
    errors: dict[str, set[bytes]] = {}
    can_change = platform.machine() == "x86_64" and sys.platform == "linux"
    for name, case in cases().items():
        digests[name], errors[name] = {}, set()
        for threads in THREADS:
            digests[name][f"{threads} threads"], figures, isa = run(case, threads)
            errors[name].add(np.array(figures).tobytes())
            isas.add(isa)
            if can_change:
                with hostile_mode():
                    found, figures, _ = run(case, threads)
                errors[name].add(np.array(figures).tobytes())
                digests[name][f"{threads} threads, hostile mode"] = found
    for threads in (*THREADS, 8):
        for name, found in run_batch(threads).items():
            digests[name][f"in a batch, {threads} threads"] = found
    differ = [name for name, figures in errors.items() if len(figures) != 1]
    ran = {"isas": sorted(isas), "info": qr.info(), "digests": digests, "errors_differ": differ}
    print(json.dumps(ran))


if __name__ == "__main__":
    main()
