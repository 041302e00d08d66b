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


def _case(name: str, first_isa: str) -> Case:
    """Return the case of a benchmark from its name."""
    what, *rest = name.split("-")
    isa = "" if what == "copy" else rest.pop(0)
    dtype, size, *two = rest
    megabytes = int(size.removesuffix("mb"))
    rows = megabytes * 1_000_000 // (COLUMNS * 4)
    threads = f"{len(two) + 1} thread{'s' * len(two)}"
    where = "best instruction set" if isa == "best" else readable_isa(isa.upper())
    elements = f"the elements of {megabytes} MB of float32"
    return Case(
        id=name,
        title=f"{what}, {where}, {elements} as {dtype}"
        if isa
        else f"memcpy of {megabytes} MB as {dtype}, {threads}",
        prepare=run_by_program,
        role="ours" if isa else "copy",
        package="quarrow" if isa else "",
        # The best instruction set has its name at 4 MB, where all of them are.
        chart="float32" if dtype == "float32" and isa in {"", "best", first_isa} else "",
        line=what if isa else f"copy, {threads}",
        size=megabytes,
        bytes=rows * COLUMNS * ELEMENT_BYTES[dtype],
        threads=len(two) + 1,
        copy=f"copy-{dtype}-{40 if dtype != 'float32' else megabytes}mb" if isa else "",
    )


def _cases(listed: str) -> Iterator[Case]:
    # Options are appended to names: "copy-f32-4mb/real_time".
    names = [line.partition("/")[0] for line in listed.split()]
    first_isa = next(name.split("-")[1] for name in names if not name.startswith("copy"))
    for name in names:
        yield _case(name, first_isa)


def suite() -> Suite:
    """Return the suite; without the program it is empty."""
    path, title = program(), "Kernels in C++"
    if not path.exists():
        return Suite("kernels", title, ABOUT, (), {path.name: f"not built: {BUILD}"})
    listing = [str(path), "--benchmark_list_tests=true"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"does not run: {done.stderr.strip()[-200:]}; {BUILD}"
        return Suite("kernels", title, ABOUT, (), {path.name: reason})
    return Suite("kernels", title, ABOUT, tuple(_cases(done.stdout)), program=path)
