# SPDX-License-Identifier: Apache-2.0
"""A store of benchmarks that nobody ran: samples from a seed, machine and dates made up.

Runs are written oldest first, as the engine does: the last becomes "new", that before "previous".
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.case import Case, Job, Role, Suite
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Record, Sample, Store, suite_record

FINGERPRINT = "simulated-2cpu-00000000"
SIZES = (4, 40, 400)
ENVIRONMENT: dict[str, Any] = {
    "machine": {
        "cpu": "Simulated Processor 9000",
        "architecture": "x86_64",
        "cpus": 2,
        "cache_bytes": 33554432,
        "memory_gib": 16,
        "system": "Linux",
        "huge_pages": "always [madvise] never",
    },
    "kernel": "6.1.0",
    "python": "3.11.7",
    "governor": "not told",
    "boost": "not told",
    "quarrow": {"version": "0.1.0", "isa": "avx2", "threads": 2, "executor": "pool", "build": {}},
    "libraries": {"google-benchmark": "1.9.5", "numpy": "2.4.6"},
}
QUIET = {
    "load_before": 0.2,
    "load_after": 1.1,
    "stolen_share": 0.001,
    "switches_per_second": 12.0,
}
RESTLESS = QUIET | {"load_before": 3.4, "stolen_share": 0.06}


@dataclass(frozen=True)
class Simulated:
    """A benchmark and what its samples are drawn from.

    Attributes
    ----------
    case : Case
        As a suite declares it; it has no job.
    seconds : float
        The median of a run whose factor is 1.
    spread : float
        Of the logarithms of the samples.
    outside : float
        Seconds of a call outside the core; 0 is a benchmark without stamps.
    count : int
        Of the samples; 100 are asked for.
    """

    case: Case
    seconds: float
    spread: float = 0.02
    outside: float = 0.0
    count: int = 100


@dataclass(frozen=True)
class SimulatedSuite:
    """A suite of such benchmarks."""

    name: str
    title: str
    benchmarks: list[Simulated]
    missing: dict[str, str] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=lambda: dict(QUIET))


def no_job() -> Job:
    """Stand for the job of a case that nobody runs."""
    raise NotImplementedError


def case(id_: str, title: str, role: Role = "ours", **rest: Any) -> Case:
    """Return a case that has no job."""
    return Case(id=id_, title=title, role=role, prepare=no_job, **rest)


def samples(what: Simulated, factor: float, processes: int, seed: str) -> list[Sample]:
    """Draw samples, a few of them far out; the counters are those of a worker."""
    random = np.random.default_rng(list(seed.encode()))
    drawn = what.seconds * factor * np.exp(random.normal(0, what.spread, what.count))
    drawn[random.random(what.count) < 0.03] *= 1.4
    result = []
    for index, wall in enumerate(drawn.tolist()):
        counters = {
            "free": 0.02 * wall,
            "page_faults": float(random.integers(0, 40)),
            "switches": float(random.random() < 0.1),
        }
        if what.outside:
            inside = max(wall - what.outside, 0.5 * wall)
            rest = wall - inside
            counters |= {
                "stage_view": 0.2 * rest,
                "stage_alloc": 0.5 * rest,
                "stage_core": inside,
                "stage_export": 0.2 * rest,
                "stage_total": wall,
                "stage_whole": wall,
            }
        cpu = wall * what.case.threads * 0.97
        process = index * processes // what.count
        result.append(Sample(process, wall, cpu, 1 + int(0.05 / wall), counters))
    return result


def write_run(
    store: Store,
    suite: SimulatedSuite,
    started: str,
    *,
    factor: float = 1.0,
    processes: int = 1,
) -> None:
    """Store one run of a suite, the latest becomes the previous; copies keep their speed."""
    settings = asdict(Settings(processes=processes))
    run = f"{suite.name} {started}"
    cases = tuple(each.case for each in suite.benchmarks)
    record = suite_record(
        Suite(suite.name, suite.title, f"About {suite.title}.", cases, suite.missing),
        environment=ENVIRONMENT,
        noise=suite.noise,
        started=started,
        seconds=754.0,
        settings=settings,
        run=run,
    )
    store.write_suite(record)
    for each in suite.benchmarks:
        own = 1.0 if each.case.role == "copy" else factor
        drawn = samples(each, own, processes, f"{run} {each.case.id}")
        store.write(Record(suite.name, each.case.described(), drawn, run, settings))


def sizes_suite() -> SimulatedSuite:
    """Return copies, ours and lists over three sizes."""
    found = []
    for size in SIZES:
        common: dict[str, Any] = {"size": size, "bytes": size * 1_000_000, "chart": "int8 per row"}
        measured: dict[str, Any] = {**common, "copy": f"copy_{size}mb", "job": f"int8, {size} MB"}
        ours: dict[str, Any] = {**measured, "threads": 2, "legacy": f"legacy_{size}mb"}
        copied = 1e-4 * size
        found += [
            Simulated(
                case(
                    f"copy_{size}mb", f"a copy of {size} MB", "copy", **common, line="copy",
                    package="numpy",
                ),
                copied,
            ),
            Simulated(
                case(f"numpy_{size}mb", f"new memory, {size} MB", **ours, line="numpy"),
                copied * 0.8,
                outside=5e-6,
            ),
            Simulated(
                case(f"numpy_into_{size}mb", f"memory that exists, {size} MB", **ours, line="into"),
                copied * 0.6,
                outside=2e-6,
            ),
            Simulated(
                case(
                    f"legacy_{size}mb", f"lists, {size} MB", "legacy", **measured, line="legacy"
                ),
                copied * 150,
                count=10 if size == SIZES[-1] else 100,
            ),
        ]  # fmt: skip
    return SimulatedSuite("numpy_vs_legacy", "Arrays beside lists", found)


def peers_suite() -> SimulatedSuite:
    """Return ours and two peers at the same job; one is missing, and the machine is restless."""
    found = [
        Simulated(
            case("copy_4mb", "a copy of 4 MB", "copy", package="numpy", size=4, bytes=4_000_000),
            4e-4,
        )
    ]
    rivals: tuple[tuple[str, Role, str, float], ...] = (
        ("int4_into_4mb", "ours", "quarrow", 3.2e-4),
        ("int4_swift", "peer", "swiftquant", 4.4e-4),
        ("int4_slow", "peer", "slowquant", 2.9e-3),
    )
    for id_, role, package, seconds in rivals:
        described_case = case(
            id_, f"int4, 4 MB, {package}", role, package=package, size=4, bytes=4_000_000,
            threads=2, copy="copy_4mb", job="int4, 4 MB",
        )  # fmt: skip
        found.append(Simulated(described_case, seconds))
    return SimulatedSuite(
        "peers", "The same job by others", found, {"mlx": "not installed"}, dict(RESTLESS)
    )


def make_store(folder: Path, *, factor: float = 1.0) -> Store:
    """Return a store of five runs of two suites; the last takes `factor` times as long."""
    store = Store(folder, FINGERPRINT)
    for suite in (sizes_suite(), peers_suite()):
        for day in range(1, 5):
            write_run(store, suite, f"2026-01-0{day}T08:00:00+00:00", factor=1 + 0.01 * day)
        last = "2026-01-05T08:00:00+00:00"
        write_run(store, suite, last, factor=factor)
    figures = {"peak": 1_200_000, "allowed": 1_000_000, "copied": 0}
    store.write_memory("numpy_vs_legacy", "numpy_4mb", figures)
    return store


HOSTILE = "=<img src=x onerror=document.title='owned'>\"</script><b>'{{ 7 * 7 }}"


def hostile_suite() -> SimulatedSuite:
    """Return a suite whose every text looks like markup."""
    rest: dict[str, Any] = {
        "chart": HOSTILE,
        "line": HOSTILE,
        "package": HOSTILE,
        "job": HOSTILE,
        "size_unit": HOSTILE,
    }
    return SimulatedSuite(
        "hostile",
        HOSTILE,
        [
            Simulated(case(f"markup_{size}", HOSTILE, **rest, size=size), 1e-5 * size, outside=1e-6)
            for size in SIZES
        ],
        {HOSTILE: HOSTILE},
    )
