# SPDX-License-Identifier: Apache-2.0
"""google-benchmark's flags and its JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.google_json import (
    BenchmarkFailedError,
    flags,
    read_samples,
)
from benchmarks.harness.settings import Settings

# A run of a benchmark and its aggregate.
WITH_AGGREGATE: dict[str, Any] = {
    "context": {"library_build_type": "debug"},
    "benchmarks": [
        {
            "name": "copy/real_time",
            "family_index": 0,
            "per_family_instance_index": 0,
            "run_name": "copy/real_time",
            "run_type": "iteration",
            "repetitions": 2,
            "repetition_index": 0,
            "threads": 1,
            "iterations": 7,
            "real_time": 1.5,
            "cpu_time": 1.25,
            "time_unit": "ms",
            "bytes_per_second": 1e9,
        },
        {
            "name": "copy/real_time_median",
            "run_name": "copy/real_time",
            "run_type": "aggregate",
            "aggregate_name": "median",
            "aggregate_unit": "time",
            "threads": 1,
            "iterations": 2,
            "real_time": 9.0,
            "cpu_time": 9.0,
            "time_unit": "ms",
        },
    ],
}
# What the Python package 1.9.5 writes: a schema version, counters beside the fields.
WITH_COUNTERS: dict[str, Any] = {
    "context": {"library_version": "1.9.5", "json_schema_version": 1},
    "benchmarks": [
        {
            "name": "numpy_4mb/repeats:5/manual_time",
            "family_index": 1,
            "per_family_instance_index": 0,
            "run_name": "numpy_4mb/repeats:5/manual_time",
            "run_type": "iteration",
            "repetitions": 5,
            "repetition_index": 3,
            "threads": 1,
            "iterations": 78,
            "real_time": 4.0e5,
            "cpu_time": 3.9e5,
            "time_unit": "ns",
            "cpu": 3.5e-4,
            "stage_core": 3.0e-4,
        }
    ],
}


def written(tmp_path: Path, value: Any) -> Any:
    path = tmp_path / "out.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_aggregates_are_passed_over(tmp_path: Path) -> None:
    (sample,) = read_samples(written(tmp_path, WITH_AGGREGATE), 0, {})["copy"]
    assert (sample.wall, sample.cpu, sample.iterations) == (1.5e-3, 1.25e-3, 7)
    assert sample.counters == {}


def test_a_sample_is_of_one_call(tmp_path: Path) -> None:
    (sample,) = read_samples(written(tmp_path, WITH_COUNTERS), 4, {"numpy_4mb": 10})["numpy_4mb"]
    assert sample.process == 4
    assert sample.wall == pytest.approx(4e-5)  # of one of ten calls
    assert sample.cpu == 3.5e-4  # the worker's own clock: every thread, one call
    assert sample.counters == {"stage_core": 3.0e-4}


@pytest.mark.parametrize(
    "fields",
    [
        {"error_occurred": True, "error_message": "it is broken"},
        {"skipped": "error", "skip_message": "it is broken"},
    ],
)
def test_a_benchmark_that_failed_is_an_error(tmp_path: Path, fields: Any) -> None:
    run = WITH_COUNTERS["benchmarks"][0] | fields
    with pytest.raises(BenchmarkFailedError, match="numpy_4mb: it is broken"):
        read_samples(written(tmp_path, {"benchmarks": [run]}), 0, {})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"context": {}}', "null"])
def test_output_that_is_not_whole_is_an_error(tmp_path: Path, text: Any) -> None:
    with pytest.raises(BenchmarkFailedError, match="no readable samples"):
        read_samples(written(tmp_path, text), 0, {})


def test_flags_say_what_is_measured(tmp_path: Path) -> None:
    said = flags(Settings(samples=20, warm_up=0.5, measurement=2.0), tmp_path / "o", test=False)
    assert {"--benchmark_min_time=0.1s", "--benchmark_min_warmup_time=0.5"} <= set(said)
    assert "--benchmark_enable_random_interleaving=true" in said
    assert f"--benchmark_out={tmp_path / 'o'}" in said


def test_a_test_runs_bodies_once(tmp_path: Path) -> None:
    assert "--benchmark_dry_run=true" in flags(Settings(), tmp_path / "o", test=True)
