# SPDX-License-Identifier: Apache-2.0
"""The suites: one module each, with a function `suite()`; a new one is a file and a line here."""

import functools
import importlib

from benchmarks.harness.case import Suite

NAMES = (
    "numpy_vs_legacy",
    "batch_overhead",
    "pauses",
    "arrow_ipc",
    "online",
    "end_to_end",
    "kernels",
    "peers",
)


@functools.cache
def load_suite(name: str) -> Suite:
    """Return a suite by its name."""
    found: Suite = importlib.import_module(f"benchmarks.suites.{name}").suite()
    return found
