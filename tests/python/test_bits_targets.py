# SPDX-License-Identifier: Apache-2.0
"""Every instruction set, both executors, any number of threads and the caller's mode: same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import quarrow as qr
from bit_cases import cases, reference_digest
from workload import HANG_SECONDS

pytestmark = pytest.mark.slow

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    return {name: reference_digest(*case) for name, case in cases().items()}


def run_cases(**environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, SUPPORT / "bit_cases.py"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("executor", ["pool", "plain"])
@pytest.mark.parametrize("isa", qr.info()["runnable_isas"])
def test_the_bits_are_the_references(isa: str, executor: str, expected: dict[str, str]) -> None:
    ran = run_cases(QUARROW_FORCE_ISA=isa, QUARROW_EXECUTOR=executor)
    assert ran["isas"] == [isa]
    assert ran["info"]["isa"] == isa
    assert ran["info"]["executor"].lower() == executor
    wrong = [
        f"{name}, {how}"
        for name, digests in ran["digests"].items()
        for how, found in digests.items()
        if found != expected[name]
    ]
    assert wrong == []
    assert ran["errors_differ"] == []


@pytest.mark.parametrize("variable", ["QUARROW_FORCE_ISA", "QUARROW_EXECUTOR"])
def test_a_name_that_cannot_run_is_an_error(variable: str) -> None:
    with pytest.raises(AssertionError, match=variable):
        run_cases(**{variable: "AVX99"})
