# SPDX-License-Identifier: Apache-2.0
"""Kernels in C++.

A C++ program calls the kernels tile by tile as the engine does, one thread, no Python. Every format
runs on every instruction set of this machine for 4 MB of float32; the other sizes, and the other
input types at the elements of 40 MB of float32, run on the best one. The result is compared with
the slowest instruction set's first.
"""

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from quarrow.isa_names import readable_isa

from benchmarks.cases import threads_text
from benchmarks.harness.case import Case, run_by_program

BUILT = Path(__file__).parents[2] / "build/bench/benchmarks/cpp/quarrow_kernels_benchmark"
# QUARROW_KERNELS_BENCHMARK names another place.
PROGRAM = Path(os.environ.get("QUARROW_KERNELS_BENCHMARK", BUILT))
BUILD = "tools/setup kernels builds it"
COLUMNS = 4096
ELEMENT_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@functools.cache
def _listed() -> tuple[list[str], str]:
    """Return the names of the program's benchmarks, or none and the reason."""
    if not PROGRAM.exists():
        return [], f"not built: {BUILD}"
    listing = [str(PROGRAM), "--benchmark_list_tests=true"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    if done.returncode:
        return [], f"does not run: {done.stderr.strip()[-200:]}; {BUILD}"
    # Options are appended to names: "copy-f32-4mb/real_time".
    return [line.partition("/")[0] for line in done.stdout.split()], ""


def _case(name: str, first_isa: str) -> Case:
    what, *rest = name.split("-")
    isa = "" if what == "copy" else rest.pop(0)
    dtype, size, *two = rest
    megabytes, threads = int(size.removesuffix("mb")), len(two) + 1
    where = "best instruction set" if isa == "best" else readable_isa(isa.upper())
    elements = f"the elements of {megabytes} MB of float32 as {dtype}"
    copied = f"memcpy of {megabytes} MB as {dtype}, {threads_text(threads)}"
    return Case(
        id=name,
        title=f"{what}, {where}, {elements}" if isa else copied,
        prepare=run_by_program,
        role="ours" if isa else "copy",
        package="quarrow" if isa else "",
        # The best instruction set has its name at 4 MB, where all of them are.
        chart="float32" if dtype == "float32" and isa in {"", "best", first_isa} else "",
        line=what if isa else f"copy, {threads_text(threads)}",
        size=megabytes,
        bytes=megabytes * 1_000_000 // (COLUMNS * 4) * COLUMNS * ELEMENT_BYTES[dtype],
        threads=threads,
        copy=f"copy-{dtype}-{40 if dtype != 'float32' else megabytes}mb" if isa else "",
    )


def cases() -> Iterator[Case]:
    names, _ = _listed()
    first_isa = next((name.split("-")[1] for name in names if not name.startswith("copy")), "")
    for name in names:
        yield _case(name, first_isa)


def missing() -> dict[str, str]:
    _, reason = _listed()
    return {PROGRAM.name: reason} if reason else {}
