# SPDX-License-Identifier: Apache-2.0
"""What somebody sees who presses Tab after `qr.`."""

import logging
import rlcompleter
import subprocess
import sys
from types import ModuleType

import pytest
import quarrow as qr


@pytest.mark.parametrize("module", [qr, qr.legacy])
def test_tab_shows_what_is_public_and_nothing_else(module: ModuleType) -> None:
    shown = [name for name in dir(module) if not name.startswith("__")]
    assert shown == sorted(name for name in module.__all__ if not name.startswith("__"))


def test_dunders_are_shown_too() -> None:
    assert {"__all__", "__doc__", "__file__", "__name__", "__version__"} <= set(dir(qr))
    assert len(dir(qr)) == len(set(dir(qr)))


def test_no_other_module_leaks() -> None:
    for name, value in vars(qr).items():
        if name not in qr.__all__ and not name.startswith("__"):
            assert isinstance(value, ModuleType), name
            assert value.__name__ == f"quarrow.{name}"
    assert not hasattr(qr, "logging")


def test_completion_offers_functions_as_functions() -> None:
    completer = rlcompleter.Completer({"qr": qr})
    found = [completer.complete("qr.quantize", state) for state in range(20)]
    assert {"qr.quantize(", "qr.quantize_batch(", "qr.quantize_file("} <= set(found)
    assert completer.complete("qr.log", 0) is None


def test_a_program_without_logging_hears_nothing() -> None:
    code = """
import numpy, quarrow
quarrow.quantize_state_dict({"a": numpy.ones(3, "f")}, "int8", rules={"nowhere": None})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert logging.getLogger("quarrow").handlers
