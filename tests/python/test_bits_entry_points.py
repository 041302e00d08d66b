# SPDX-License-Identifier: Apache-2.0
"""Every way in gives the same bytes, on every instruction set, executor and number of threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import quarrow as qr
from workload import HANG_SECONDS

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "support" / "entry_points.py"


@pytest.mark.parametrize("executor", ["pool", "plain"])
@pytest.mark.parametrize("isa", qr.info()["runnable_isas"])
def test_every_way_in_gives_the_same_bytes(isa: str, executor: str) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT],
        env={**os.environ, "QUARROW_FORCE_ISA": isa, "QUARROW_EXECUTOR": executor},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ran = json.loads(done.stdout)
    assert (ran["isa"], ran["executor"]) == (isa, executor)
    assert ran["different"] == []
    assert ran["count"] > 2500
