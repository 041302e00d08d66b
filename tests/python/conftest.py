# SPDX-License-Identifier: Apache-2.0
"""What every Python test finds when it starts."""

import secrets
import signal

import pytest
from hypothesis import core, settings

# A shell starts background jobs with SIGINT ignored, and every child inherits that: tests of Ctrl-C
# would then wait for an interrupt that never comes.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Of every property. Each run draws new examples, also where CI is set, which would draw the same.
settings.register_profile(
    "often", max_examples=500, deadline=None, print_blob=True, derandomize=False
)
settings.load_profile("often")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed, so that it can be printed."""
    if config.getoption("hypothesis_seed") is None:
        setattr(core, "global_force_seed", secrets.randbits(32))  # noqa: B010


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seed with the results: --hypothesis-seed draws the same examples again."""
    terminalreporter.write_line(f"--hypothesis-seed={core.global_force_seed}")
