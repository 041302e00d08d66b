# SPDX-License-Identifier: Apache-2.0
"""Print how long quarrow takes, in copies of its input, beside its peers and targets."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import quarrow as qr
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.arrow import arrow_rows
from benchmarks.batch import batch_rows
from benchmarks.rounds import Case, Ratio, Row, ratio, run_rounds

COLUMNS = 1024
# The most a job may take: format -> megabytes -> (one thread's CPU time in one-thread copies,
# two threads' wall time in np.copyto).
TARGETS = {
    "int4": {4: (1.4, 0.9), 40: (0.9, 0.6), 400: (0.9, 0.6)},
    "int8": {4: (1.2, 0.8), 40: (0.9, 0.6), 400: (0.9, 0.7)},
    "int8_rowwise": {4: (1.7, 1.2), 40: (1.1, 0.8), 400: (1.1, 0.8)},
}
SMALL_CALL_MICROSECONDS = {"numpy": 2.0, "torch": 6.0}
BINDING_SHARE = 0.02


def weights(megabytes: int) -> NDArray[np.float32]:
    """Return normally distributed weights of so many millions of bytes, [rows, 1024]."""
    rows = megabytes * 1_000_000 // (4 * COLUMNS)
    values = np.random.default_rng(megabytes).standard_normal((rows, COLUMNS), np.float32)
    values *= np.float32(0.02)
    return values


def check(w: NDArray[np.float32]) -> None:
    """Compare a slice with plain numpy, so that nothing wrong is timed."""
    part = w[:64]
    scales = np.maximum(np.abs(part).max(1, keepdims=True) / np.float32(127), np.float32(1e-30))
    codes = np.clip(np.rint(part / scales), -128, 127).astype(np.int8)
    q = qr.quantize(part, "int8_rowwise")
    if not (np.array_equal(q.codes, codes) and np.array_equal(q.scales, scales)):
        message = "int8_rowwise differs from plain numpy"
        raise AssertionError(message)
    for name in ("int4", "int8"):
        stored = qr.quantize(part, name)
        if stored.error(part).max_abs > 0.51 * float(stored.scales.max()):
            message = f"{name} is further from its input than half a scale"
            raise AssertionError(message)


def job(format_: str, w: object, threads: int, *, fresh: bool = False) -> Case:
    """Return a case that quantizes `w`, into memory of its own or into new memory each time."""
    out = None if fresh else qr.quantize(w, format_)
    return Case(
        f"{format_}, {threads} thread{'s' * (threads > 1)}{', fresh' * fresh}",
        lambda: qr.quantize(w, format_, out=out, threads=threads),
    )


def size_rows(megabytes: int, rounds: int) -> Iterator[Row]:
    """Measure every format at one size, both ways, beside FBGEMM."""
    w = weights(megabytes)
    check(w)
    destination = np.empty_like(w)
    copy = Case("np.copyto", lambda: np.copyto(destination, w))
    one = {name: job(name, w, 1) for name in TARGETS}
    two = {name: job(name, w, 2) for name in TARGETS}
    fresh = job("int4", w, 2, fresh=True)
    fbgemm = {
        name: Case(f"FBGEMM for {name}, 2 threads", peers.fbgemm(name, w, 2))
        for name in ("int4", "int8")
        if peers.INSTALLED
    }
    run_rounds([copy, *one.values(), *two.values(), fresh, *fbgemm.values()], rounds)

    def row(case: Case, *, cpu: bool, target: float | None = None) -> Row:
        measured = ratio(case.cpu, copy.cpu) if cpu else ratio(case.wall, copy.wall)
        median = float(np.median(case.cpu if cpu else case.wall)) * 1e3
        unit = "copies, CPU time" if cpu else "copies, wall time"
        return Row(f"{megabytes} MB  {case.name}", median, measured, unit, target)

    yield row(copy, cpu=False)
    for name, targets in TARGETS.items():
        yield row(one[name], cpu=True, target=targets[megabytes][0])
        yield row(two[name], cpu=False, target=targets[megabytes][1])
        if name in fbgemm:
            yield row(fbgemm[name], cpu=False)
    yield row(fresh, cpu=False)


def dtype_rows(rounds: int) -> Iterator[Row]:
    """Compare half-width inputs with float32, element by element, one thread."""
    w = weights(40)
    inputs: dict[str, object] = {"float16": w.astype(np.float16)}
    if peers.INSTALLED:
        inputs["bfloat16"] = peers.torch_tensor(w).bfloat16()
    reference = {name: job(name, w, 1) for name in TARGETS}
    narrow = {(kind, name): job(name, x, 1) for kind, x in inputs.items() for name in TARGETS}
    run_rounds([*reference.values(), *narrow.values()], rounds)
    for (kind, name), case in narrow.items():
        measured = ratio(case.cpu, reference[name].cpu)
        milliseconds = float(np.median(case.cpu)) * 1e3
        yield Row(f"10 M {kind}, {name}", milliseconds, measured, "of float32", 1.0)


def small_call_rows(rounds: int) -> Iterator[Row]:
    """Measure one call on 32 x 128 values, in microseconds."""
    w = weights(4)[:4].reshape(32, 128).copy()
    cases = {"numpy": Case("small call, numpy", lambda: qr.quantize(w, "int4"), 500)}
    if peers.INSTALLED:
        tensor = peers.torch_tensor(w)
        cases["torch"] = Case("small call, torch", lambda: qr.quantize(tensor, "int4"), 500)
        fbgemm = peers.fbgemm("int4", w, 1)
        cases["FBGEMM"] = Case("small call, FBGEMM", fbgemm, 500)
    run_rounds(list(cases.values()), rounds)
    for kind, case in cases.items():
        measured = ratio(np.multiply(case.wall, 1e6).tolist(), [1.0] * len(case.wall))
        target = SMALL_CALL_MICROSECONDS.get(kind)
        yield Row(case.name, float(np.median(case.wall)) * 1e3, measured, "us", target)


def binding_rows(rounds: int) -> Iterator[Row]:
    """Measure what a 4 MB call spends outside the core, from the stamps of the same calls."""
    w = weights(4)
    for name in TARGETS:
        out = qr.quantize(w, name)
        stats = [qr.quantize(w, name, out=out, threads=1).stats for _ in range(20 * rounds)]
        outside = [each.total_seconds - each.core_seconds for each in stats]
        total = [each.total_seconds for each in stats]
        share = sum(outside) / sum(total)
        # Blocks of calls, so that the interval is that of the share and not of one call.
        blocks = np.array_split(np.arange(len(stats)), rounds)
        shares = [sum(outside[i] for i in b) / sum(total[i] for i in b) for b in blocks]
        low, high = np.quantile(shares, [0.025, 0.975])
        milliseconds = sum(total) / len(total) * 1e3
        measured = Ratio(100 * share, 100 * float(low), 100 * float(high))
        yield Row(
            f"binding, 4 MB {name}", milliseconds, measured, "% of the call", 100 * BINDING_SHARE
        )


def all_rows(sizes: list[int], rounds: int, wanted: re.Pattern[str]) -> Iterator[Row]:
    """Measure the groups whose name `wanted` finds."""
    for megabytes in sizes:
        if wanted.search(f"{megabytes}MB"):
            # As many bytes a size, but never few samples.
            yield from size_rows(megabytes, max(rounds // 4, 5) if megabytes > 40 else rounds)
    groups = {
        "dtypes": dtype_rows,
        "small": small_call_rows,
        "binding": binding_rows,
        "batch": batch_rows,
        "arrow": arrow_rows,
    }
    for name, rows in groups.items():
        if wanted.search(name):
            yield from rows(rounds)


def main() -> int:
    """Measure, print, and store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 MB and few rounds: does it run?")
    parser.add_argument("--rounds", type=int, default=60, help="samples of each case (60)")
    parser.add_argument(
        "--filter", default="", help="only 4MB, 40MB, 400MB, dtypes, small, binding, batch, arrow"
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    sizes = [4] if options.quick else [4, 40, 400]
    rounds = 5 if options.quick else options.rounds
    info = qr.info()
    print(f"quarrow {info['version']}, {info['isa']}, {info['cpus']} CPUs, {info['executor']}")
    if not peers.INSTALLED:
        print("torch is not installed: no FBGEMM rows, no bfloat16 rows")
    print(f"{'':42} {'ms':>10}  {'median [95 %]':>22} {'in':18} target")
    rows = []
    for row in all_rows(sizes, rounds, re.compile(options.filter)):
        print(row, flush=True)
        rows.append(row)
    if not rows:
        print(f"nothing is named {options.filter!r}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps({"info": info, "rows": [asdict(r) for r in rows]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
