# SPDX-License-Identifier: Apache-2.0
"""The machine, what is installed on it, and how quiet it is."""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import resource
import time
from pathlib import Path
from typing import Any

import quarrow as qr

_CPU = Path("/sys/devices/system/cpu/cpu0")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def read_text(path: Path) -> str:
    """Return the text of a file of the kernel's, or nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _processor() -> str:
    lines = (line.partition(":") for line in read_text(Path("/proc/cpuinfo")).splitlines())
    models = (value.strip() for key, _, value in lines if key.strip() == "model name")
    return next(models, platform.processor())


def last_level_cache_bytes() -> int:
    """Return the size of the largest cache of the first processor, 32 MB where none is told."""
    sizes = [read_text(each / "size") for each in sorted(_CPU.glob("cache/index*"))]
    kilobytes = [int(size.removesuffix("K")) for size in sizes if size.removesuffix("K").isdigit()]
    return max(kilobytes) * 1024 if kilobytes else 32 << 20


def machine() -> dict[str, Any]:
    """Return what decides how fast the machine is, but for what runs beside us."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _processor(),
        "architecture": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "cache_bytes": last_level_cache_bytes(),
        "memory_gib": round(pages / 2**30),
        "system": platform.system(),
        "huge_pages": read_text(_HUGE_PAGES),
    }


def fingerprint(of: dict[str, Any] | None = None) -> str:
    """Return a name of the machine: figures of two names are never compared."""
    described = machine() if of is None else of
    digest = hashlib.sha256(repr(sorted(described.items())).encode()).hexdigest()[:8]
    return f"{described['architecture']}-{described['cpus']}cpu-{digest}"


def libraries(names: set[str]) -> dict[str, str]:
    found = {}
    for name in sorted(names):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def installed(packages: set[str]) -> dict[str, Any]:
    """Return what a venv brings along: Python and libraries."""
    return {
        "python": platform.python_version(),
        "libraries": libraries(packages | {"numpy", "google-benchmark"}),
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return in sentences what, but for quarrow, two venvs have of different versions."""
    ours, theirs = ({"Python": each["python"], **each["libraries"]} for each in (one, other))
    return [
        f"Verdicts are of {name} too: {ours.get(name, 'none')} here,"
        f" {theirs.get(name, 'none')} with the other build."
        for name in sorted({*ours, *theirs} - {"quarrow"})
        if ours.get(name) != theirs.get(name)
    ]


def environment(packages: set[str]) -> dict[str, Any]:
    info = qr.info()
    return {
        "machine": machine(),
        "kernel": platform.release(),
        "governor": read_text(_CPU / "cpufreq/scaling_governor") or "not told",
        "boost": read_text(Path("/sys/devices/system/cpu/cpufreq/boost")) or "not told",
        "quarrow": {key: info[key] for key in ("version", "isa", "threads", "executor", "build")},
        **installed(packages),
    }


def _ticks() -> tuple[float, float]:
    """Return all ticks of the processors, and those that a hypervisor gave to others."""
    first = read_text(Path("/proc/stat")).splitlines()[:1]
    values = [float(each) for each in first[0].split()[1:9]] if first else []
    return (sum(values), values[7]) if len(values) == 8 else (0.0, 0.0)


@functools.cache
def load_at_start() -> float:
    """Return the load before this process measured anything: what comes later is our own."""
    return os.getloadavg()[0]


class NoiseMeter:
    """What else the machine does from now on."""

    def __init__(self) -> None:
        self._load = load_at_start()
        self._before = self._counted()

    def _counted(self) -> tuple[float, ...]:
        """Return seconds, ticks, stolen ticks, and switches that our children did not ask for."""
        switches = resource.getrusage(resource.RUSAGE_CHILDREN).ru_nivcsw
        return (time.monotonic(), *_ticks(), switches)

    def stop(self) -> dict[str, float]:
        """Return load, the share of stolen time, and such switches a second."""
        after = zip(self._counted(), self._before, strict=True)
        seconds, ticks, stolen, switches = (now - before for now, before in after)
        return {
            "load_before": self._load,
            "load_after": os.getloadavg()[0],
            "stolen_share": stolen / max(ticks, 1.0),
            "switches_per_second": switches / max(seconds, 1e-9),
        }


def warnings(described: dict[str, Any], noise: dict[str, float]) -> list[str]:
    """Return what should make a reader careful, in sentences."""
    cpus = described["machine"]["cpus"]
    load, stolen, switches = (
        noise[each] for each in ("load_before", "stolen_share", "switches_per_second")
    )
    found = {
        f"Something else was running: the load was {load:.1f} on {cpus} processors before the"
        " start.": load > 0.5 * cpus,
        f"The hypervisor took {stolen:.1%} of the processors' time.": stolen > 0.01,
        f"Other work interrupted the measurements {switches:.0f} times a second.": switches > 200,
        f"The frequency governor is {described['governor']}, not performance.": (
            described["governor"] not in {"performance", "not told"}
        ),
        "Frequency boost is on: the clock depends on temperature and neighbours.": (
            described["boost"] == "1"
        ),
    }
    return [said for said, holds in found.items() if holds]
