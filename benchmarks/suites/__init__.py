# SPDX-License-Identifier: Apache-2.0
"""The suites: one module each, a new one is a file and a line here.

A module's docstring is what its page says, the first line the title; `cases()` returns what can run
on this machine, `missing()` what cannot and why.
"""

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


def make_suite(name: str) -> Suite:
    """Look at what is installed now, and return the suite of that."""
    module = importlib.import_module(f"benchmarks.suites.{name}")
    title, _, about = str(module.__doc__).partition(".\n\n")
    cases, missing = tuple(module.cases()), module.missing()
    of_clone = getattr(module, "OF_CLONE", False)
    return Suite(name, title, " ".join(about.split()), cases, missing, of_clone)


load_suite = functools.cache(make_suite)
