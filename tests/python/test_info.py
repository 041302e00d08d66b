# SPDX-License-Identifier: Apache-2.0
"""info(), and the environment variables that it reports."""

import os
import subprocess
import sys

import pytest
import quarrow as qr
from quarrow.isa_names import readable_isa


def run_python(code: str, **environment: str) -> str:
    """Run `code` in a fresh interpreter with more environment variables; give its output."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_what_it_tells() -> None:
    info = qr.info()
    assert info["version"] == qr.__version__
    assert info["isa"] in info["runnable_isas"]
    assert info["cpus"] >= 1
    assert info["executor"] in ("pool", "plain")
    assert info["build"]["compiler"]
    assert info["dependencies"]["numpy"]
    assert info["dependencies"]["highway"]


def test_the_target_that_ran_is_the_one_reported() -> None:
    code = (
        "import numpy, quarrow; "
        "q = quarrow.quantize(numpy.ones(8, 'f'), 'int8'); "
        "print(quarrow.info()['isa'], q.stats.isa)"
    )
    for isa in qr.info()["runnable_isas"]:
        assert run_python(code, QUARROW_FORCE_ISA=isa).split() == [isa, isa]


def test_an_unavailable_target_is_an_error_at_first_use() -> None:
    code = """
import numpy, quarrow
for call in (quarrow.info, lambda: quarrow.quantize(numpy.ones(8, "f"), "int8")):
    try:
        call()
    except quarrow.InvalidInputError as error:
        print(error)
"""
    lines = run_python(code, QUARROW_FORCE_ISA="PDP11").splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "QUARROW_FORCE_ISA names 'PDP11'" in line
        assert readable_isa(qr.info()["runnable_isas"][0]) in line
        assert "AVX3" not in line


@pytest.mark.skipif("AVX3" not in qr.info()["runnable_isas"], reason="no AVX-512 here")
@pytest.mark.parametrize("spelling", ["AVX3", "AVX-512", "AVX512"])
def test_avx_512_may_be_asked_for_by_either_name(spelling: str) -> None:
    code = "import quarrow; print(quarrow.info()['isa'])"
    assert run_python(code, QUARROW_FORCE_ISA=spelling) == "AVX3\n"


def test_the_executor_is_the_one_asked_for_and_changes_no_bit() -> None:
    code = """
import hashlib, numpy, quarrow
w = numpy.random.default_rng(1).standard_normal((1024, 4096), "f")
q = quarrow.quantize(w, "int4", threads=2)
print(quarrow.info()["executor"], hashlib.sha256(q.codes.tobytes()).hexdigest())
"""
    names = {qr.info()["executor"], "plain"}
    lines = [run_python(code, QUARROW_EXECUTOR=name).split() for name in names]
    assert {line[0] for line in lines} == names
    assert len({line[1] for line in lines}) == 1


def test_an_unknown_executor_is_an_error() -> None:
    code = """
import quarrow
try:
    quarrow.info()
except quarrow.InvalidInputError as error:
    print(error)
"""
    assert "QUARROW_EXECUTOR must be" in run_python(code, QUARROW_EXECUTOR="enqueue")


def test_the_default_threads_come_from_the_environment() -> None:
    code = """
import numpy, quarrow
w = numpy.ones((1024, 4096), "f")
print(quarrow.info()["threads"], quarrow.quantize(w, "int8").stats.threads,
      quarrow.quantize(w, "int8", threads=2).stats.threads)
"""
    assert run_python(code, QUARROW_NUM_THREADS="3").split() == ["3", "3", "2"]
    assert run_python(code, QUARROW_NUM_THREADS="").split()[0] == str(qr.info()["cpus"])


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "99999999999999999999", "1 "])
def test_an_unusable_number_of_threads_is_an_error(value: str) -> None:
    code = """
import numpy, quarrow
try:
    quarrow.quantize(numpy.ones(8, "f"), "int8")
except quarrow.InvalidInputError as error:
    print(error)
print(quarrow.quantize(numpy.ones(8, "f"), "int8", threads=1).stats.threads)
"""
    lines = run_python(code, QUARROW_NUM_THREADS=value).splitlines()
    assert "QUARROW_NUM_THREADS must be a whole number" in lines[0]
    assert f"'{value}'" in lines[0]
    assert lines[1] == "1"
