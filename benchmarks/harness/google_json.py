# SPDX-License-Identifier: Apache-2.0
"""google-benchmark's flags and its JSON, in both dialects.

The Python package (1.9) wants a unit behind a number of seconds and knows a dry run; the C++
library of Debian 12 (1.7) refuses the unit and knows none. Newer C++ libraries speak as the
package does.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Sample

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# What each repetition carries beside its counters.
_KNOWN = {
    "name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions",
    "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit", "label",
    "error_occurred", "error_message", "skipped", "skip_message", "aggregate_name",
    "aggregate_unit", "bytes_per_second", "items_per_second",
}  # fmt: skip


class BenchmarkFailedError(Exception):
    """A benchmark of google-benchmark that says it failed, or output that is none of its JSON."""


def _flags(out: Path, *, test: bool) -> list[str]:
    flags = [f"--benchmark_out={out}", "--benchmark_out_format=json"]
    return flags if test else [*flags, "--benchmark_enable_random_interleaving=true"]


def python_flags(settings: Settings, out: Path, *, test: bool) -> list[str]:
    """Return the flags of the Python package; repetitions are set for each benchmark."""
    if test:
        return [*_flags(out, test=True), "--benchmark_dry_run=true"]
    return [
        *_flags(out, test=False),
        f"--benchmark_min_time={settings.measurement / settings.samples:g}s",
        f"--benchmark_min_warmup_time={settings.warm_up:g}",
    ]


def knows_dry_run(program: Path) -> bool:
    """Tell whether a C++ program is linked with a library of the newer dialect."""
    tried = subprocess.run(
        [program, "--benchmark_dry_run=true", "--benchmark_list_tests=true"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def cpp_flags(
    settings: Settings, out: Path, names: list[str], *, test: bool, newer: bool
) -> list[str]:
    """Return the flags of a C++ program for the benchmarks of exactly these names."""
    flags = [*_flags(out, test=test), f"--benchmark_filter=^({'|'.join(names)})(/.*)?$"]
    if test:
        # No measured time at all is one iteration.
        return [*flags, "--benchmark_dry_run=true" if newer else "--benchmark_min_time=0"]
    unit = "s" if newer else ""
    return [
        *flags,
        f"--benchmark_min_time={settings.measurement / settings.samples:g}{unit}",
        f"--benchmark_min_warmup_time={settings.warm_up:g}",
        f"--benchmark_repetitions={settings.samples}",
    ]


def _failure(run: dict[str, Any]) -> str:
    if run.get("error_occurred"):
        return str(run.get("error_message", "failed"))
    if run.get("skipped"):
        return str(run.get("skip_message", "skipped"))
    return ""


def read_samples(path: Path, process: int, calls: dict[str, int]) -> dict[str, list[Sample]]:
    """Return the repetitions of each benchmark in the order in which they were made.

    `calls` says how many calls one iteration is, where it is not one.
    """
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"google-benchmark left no readable samples in {path.name}: {error}"
        raise BenchmarkFailedError(message) from error
    samples: dict[str, list[Sample]] = {}
    for run in runs:
        if run.get("run_type") == "aggregate":
            continue
        # Options are appended to names: "copy_4mb/manual_time", "copy_4mb/repeats:10/manual_time".
        name = run["run_name"].split("/")[0]
        if failure := _failure(run):
            message = f"{name}: {failure}"
            raise BenchmarkFailedError(message)
        unit = _SECONDS[run["time_unit"]]
        counters = {
            key: float(value)
            for key, value in run.items()
            if key not in _KNOWN and isinstance(value, (int, float))
        }
        cpu = counters.pop("cpu", run["cpu_time"] * unit)
        wall, iterations = run["real_time"] * unit / calls.get(name, 1), int(run["iterations"])
        samples.setdefault(name, []).append(Sample(process, wall, cpu, iterations, counters))
    return samples
