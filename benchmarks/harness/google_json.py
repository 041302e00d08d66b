# SPDX-License-Identifier: Apache-2.0
"""google-benchmark's flags and its JSON."""

import json
from pathlib import Path

from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Sample

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
# The numbers that each repetition carries beside its counters.
_KNOWN = {
    "family_index", "per_family_instance_index", "repetitions", "repetition_index", "threads",
    "iterations", "real_time", "cpu_time", "bytes_per_second", "items_per_second",
}  # fmt: skip


class BenchmarkFailedError(Exception):
    """A benchmark of google-benchmark that says it failed, or output that is none of its JSON."""


def flags(settings: Settings, out: Path, *, test: bool) -> list[str]:
    """Return the flags of a run; repetitions are set for each benchmark."""
    written = [f"--benchmark_out={out}", "--benchmark_out_format=json"]
    if test:
        return [*written, "--benchmark_dry_run=true"]
    return [
        *written,
        "--benchmark_enable_random_interleaving=true",
        f"--benchmark_min_time={settings.measurement / settings.samples:g}s",
        f"--benchmark_min_warmup_time={settings.warm_up:g}",
    ]


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
        if run.get("error_occurred") or run.get("skipped"):
            said = run.get("error_message") or run.get("skip_message") or "skipped"
            message = f"{name}: {said}"
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
