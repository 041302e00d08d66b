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
often = settings(max_examples=500, deadline=None, print_blob=True, derandomize=False)
settings.register_profile("often", often)
settings.register_profile("quick", often, max_examples=25)
settings.load_profile("often")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed, so that it can be printed; processes beside this one take it over."""
    if config.getoption("hypothesis_seed") is None:
        config.option.hypothesis_seed = secrets.randbits(32)
        setattr(core, "global_force_seed", config.option.hypothesis_seed)  # noqa: B010


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seed with the results: --hypothesis-seed draws the same examples again."""
    terminalreporter.write_line(f"--hypothesis-seed={core.global_force_seed}")
