# SPDX-License-Identifier: Apache-2.0
"""The kernels alone: a C++ program, one thread, every format and instruction set."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from quarrow.isa_names import readable_isa

from benchmarks.harness.case import Case, Suite, run_by_program

ABOUT = (
    "A C++ program calls the kernels tile by tile as the engine does, one thread, no Python."
    " Every format runs on every instruction set of this machine for 4 MB of float32; the other"
    " sizes, and the other input types at the elements of 40 MB of float32, run on the best one."
    " The result is compared with the slowest instruction set's first."
)
PROGRAM = Path(__file__).parents[2] / "build/bench/benchmarks/cpp/quarrow_kernels_benchmark"
BUILD = "tools/setup kernels builds it"
COLUMNS = 4096
ELEMENT_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def program() -> Path:
    """Return where the C++ program is; QUARROW_KERNELS_BENCHMARK names another place."""
    return Path(os.environ.get("QUARROW_KERNELS_BENCHMARK", PROGRAM))


def _case(name: str) -> Case:
    """Return the case of a benchmark from its name."""
    what, *rest = name.split("-")
    if what == "copy":
        dtype, size, *threads = rest
        isa = ""
    else:
        isa, dtype, size = rest
        threads = []
    megabytes = int(size.removesuffix("mb"))
    rows = megabytes * 1_000_000 // (COLUMNS * 4)
    count = 2 if threads else 1
    copied = f"memcpy of {megabytes} MB as {dtype}, {count} thread{'s' * (count > 1)}"
    elements = f"the elements of {megabytes} MB of float32"
    where = "best instruction set" if isa == "best" else readable_isa(isa.upper())
    kernel = f"{what}, {where}"
    return Case(
        id=name,
        title=f"{kernel}, {elements} as {dtype}" if isa else copied,
        prepare=run_by_program,
        role="ours" if isa else "copy",
        package="quarrow" if isa else "",
        line=f"{kernel}, {dtype}" if isa else f"copy, {dtype}, {count} thread{'s' * (count > 1)}",
        size=megabytes,
        bytes=rows * COLUMNS * ELEMENT_BYTES[dtype],
        threads=count,
        copy=f"copy-{dtype}-{40 if dtype != 'float32' else megabytes}mb" if isa else "",
    )


def _cases(listed: str) -> Iterator[Case]:
    # Options are appended to names: "copy-f32-4mb/real_time".
    for line in listed.split():
        yield _case(line.partition("/")[0])


def suite() -> Suite:
    """Return the suite; without the program it is empty."""
    path = program()
    if not path.exists():
        missing = {path.name: f"not built: {BUILD}"}
        return Suite("kernels", "Kernels in C++", ABOUT, (), missing)
    listing = [str(path), "--benchmark_list_tests=true"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    if done.returncode:
        missing = {path.name: f"does not run: {done.stderr.strip()[-200:]}; {BUILD}"}
        return Suite("kernels", "Kernels in C++", ABOUT, (), missing)
    return Suite("kernels", "Kernels in C++", ABOUT, tuple(_cases(done.stdout)), program=path)
