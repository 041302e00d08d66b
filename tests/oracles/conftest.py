# SPDX-License-Identifier: Apache-2.0
"""The oracle tests count the groups that they leave out, and say so at the end."""

from collections import Counter

import pytest
import torch

_LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = Counter()
    # Tensors here are small: threads would only wait for each other.
    torch.set_num_threads(1)


@pytest.fixture
def left_out(pytestconfig: pytest.Config) -> Counter[str]:
    """Count groups by the reason for which they were not compared."""
    return pytestconfig.stash[_LEFT_OUT]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for reason, count in sorted(config.stash[_LEFT_OUT].items()):
        terminalreporter.write_line(f"{count} {reason}")
