# SPDX-License-Identifier: Apache-2.0
"""A browser for the tests of pages."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start the system's chromium; where there is none the test is skipped, and says why."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no chromium is installed (on Debian: apt install chromium)")
    with playwright.sync_playwright() as started:
        # Without a sandbox because containers run as root; the pages are our own.
        launched = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()
