# SPDX-License-Identifier: Apache-2.0
"""tools/setup says what is missing before it changes anything."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What tools/setup calls before it has installed anything.
TOOLS = ("sh", "cat", "cksum", "dirname", "find", "grep", "id", "mkdir", "rm", "sort", "tr")
PACKAGES = "g++ ccache libgmock-dev libgtest-dev libhwy-dev libxxhash-dev"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout in a path with a space, and a folder of programs that is the whole PATH."""
    checkout = tmp_path / "a checkout"
    (checkout / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "setup", checkout / "tools")
    programs = tmp_path / "programs"
    programs.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, tool
        # Not a link: a test that replaces the program would write through it.
        program(programs, tool, f'exec "{found}" "$@"')
    program(programs, "python3", f'exec "{sys.executable}" "$@"')
    return tmp_path


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def add_apt(programs: Path, *, log: Path) -> None:
    """Debian's programs, on a machine with none of the packages; apt-get only notes its call."""
    program(programs, "apt-get", f'echo "$*" >>"{log}"; exit 1')
    program(programs, "dpkg-query", "exit 1")
    program(programs, "dpkg", "echo amd64")


def setup(machine: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [machine / "a checkout" / "tools" / "setup", "package"],
        env={"PATH": str(machine / "programs"), "HOME": os.devnull, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def made(machine: Path) -> list[str]:
    return sorted(path.name for path in (machine / "a checkout").iterdir())


def test_no_apt_lists_and_stops(machine: Path) -> None:
    add_apt(machine / "programs", log=machine / "apt.log")
    result = setup(machine, {"NO_APT": "1"})
    assert result.returncode == 1
    assert f"  apt-get install {PACKAGES} nlohmann-json3-dev" in result.stdout
    assert not (machine / "apt.log").exists()
    assert made(machine) == ["tools"]


def test_apt_is_announced_and_its_failure_shown(machine: Path) -> None:
    add_apt(machine / "programs", log=machine / "apt.log")
    program(machine / "programs", "id", "echo 0")
    program(machine / "programs", "env", 'echo "no such mirror"; exit 100')
    result = setup(machine, {})
    assert result.returncode == 1
    assert result.stdout.startswith(f"quarrow: apt will install: {PACKAGES} nlohmann-json3-dev")
    assert "no such mirror" in result.stderr
    assert "update" in (machine / "apt.log").read_text()


def test_without_root_or_sudo_it_says_what_root_must_do(machine: Path) -> None:
    add_apt(machine / "programs", log=machine / "apt.log")
    program(machine / "programs", "id", "echo 1000")
    result = setup(machine, {})
    assert result.returncode == 1
    assert f"as root: apt-get install {PACKAGES}" in result.stderr
    assert not (machine / "apt.log").exists()


def test_without_apt_it_names_brew_and_conda_packages(machine: Path) -> None:
    program(machine / "programs", "c++", "exit 1")
    result = setup(machine, {})
    assert result.returncode == 1
    assert "brew install ccache googletest highway" in result.stdout
    assert "conda install -c conda-forge cxx-compiler" in result.stdout
    assert made(machine) == ["tools"]


def test_an_old_python_is_refused(machine: Path) -> None:
    program(machine / "programs", "old", 'case $1 in -V) echo "Python 3.9.2" ;; *) exit 1 ;; esac')
    result = setup(machine, {"PYTHON": "old"})
    assert result.returncode == 1
    assert "old is Python 3.9.2; quarrow needs 3.11 or newer" in result.stderr
