# SPDX-License-Identifier: Apache-2.0
"""The oracles are the versions that the rules were read from."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

PINS = re.findall(
    r"^([\w-]+)==([\w.]+)$",
    Path(__file__).parents[2].joinpath("requirements/oracles.txt").read_text(),
    re.MULTILINE,
)


def test_every_oracle_is_pinned() -> None:
    assert {"torch", "torchao", "comfy-kitchen", "ml_dtypes", "numpy"} <= {name for name, _ in PINS}


@pytest.mark.parametrize(("package", "pinned"), PINS)
def test_the_pinned_version_is_installed(package: str, pinned: str) -> None:
    assert version(package).partition("+")[0] == pinned
