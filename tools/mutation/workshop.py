# SPDX-License-Identifier: Apache-2.0
"""A copy of the checkout in which mutants are built and tested, one after the other."""

import contextlib
import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation.mutants import Mutant
from mutation.reach import reach_of

# What a mutant may take before it counts as one that hangs, in seconds: at most, and where the same
# tests have been green before, so many times what they took then and something for a busy machine.
# Its memory and the longest file that it may write, in bytes.
_LONGEST_STEP = 900
_TIMES_GREEN = 5
_BUSY_MACHINE = 60
_MOST_MEMORY = 16 << 30
_LONGEST_FILE = 8 << 30

_RED_TEST = re.compile(
    r"^\[  FAILED  \] ([\w./]+)|^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE
)


@dataclass(frozen=True)
class Step:
    """Some tests that run together, and stop at the first that is red.

    Attributes
    ----------
    target
        What is built before, for CMake.
    command
        Run in the copy.
    """

    target: str
    command: tuple[str, ...]

    def of(self, tests: Sequence[str]) -> "Step":
        """Return the step that runs some of these tests alone."""
        if self.target == _MODULE:
            return Step(self.target, (*_PYTEST, *tests))
        return Step(self.target, (self.command[0], f"--gtest_filter={':'.join(tests)}"))


_PROGRAMS = Path(sys.prefix) / "bin"
_MODULE = "_core"
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Attributes
    ----------
    kind
        "killed" or "survived"; "stillborn" when it does not compile, "no effect" when its object
        code is that of the original, "left out" when there was no time to ask every test.
    step
        What found it.
    test
        The first red test of that step; None when it crashed or hung.
    """

    kind: str
    step: Step | None = None
    test: str | None = None


class OutOfTimeError(Exception):
    """The time for all mutants is over."""


class Workshop:
    """The copy of a checkout, its build folder and an environment that imports the copy.

    Parameters
    ----------
    root
        The checkout, which is only read.
    folder
        For all of it; what an earlier run left there is used again.
    end
        When what runs in it is stopped, as time.monotonic() counts. May be changed.
    """

    def __init__(self, root: Path, folder: Path, end: float) -> None:
        self._root = root
        self._tree = folder / "tree"
        self._objects = folder / "objects"
        self._venv = folder / "venv"
        self._scratch = folder / "scratch"
        self.end = end
        self._clean: dict[Path, bytes] = {}
        self._seen: dict[Path, tuple[int, bytes]] = {}
        self._green: dict[tuple[str, ...], float] = {}  # the longest that a command took

    def prepare(self) -> None:
        """Copy the checkout as it is, and build it.

        Raises
        ------
        subprocess.CalledProcessError
            When that fails, its output printed.
        OutOfTimeError
            When it is not done in time.
        """
        self._copy_sources()
        self._make_venv()
        launcher = "ccache" if shutil.which("ccache") else ""
        # Little is run often here: -O1 compiles in half the time. Without debug information an
        # object depends on its code alone.
        options = {
            "CMAKE_BUILD_TYPE": "Mutants",
            "CMAKE_CXX_FLAGS": "-O1 -DNDEBUG",
            "CMAKE_CXX_COMPILER_LAUNCHER": launcher,
            "CMAKE_MAKE_PROGRAM": str(_PROGRAMS / "ninja"),
            "Python_EXECUTABLE": str(self._python()),
            "QUARROW_BUILD_PYTHON": "ON",
            "QUARROW_BUILD_TESTS": "ON",
        }
        defined = [f"-D{name}={value}" for name, value in options.items()]
        where = ["-S", str(self._tree), "-B", str(self._objects), "-G", "Ninja"]
        self._must_run([str(_PROGRAMS / "cmake"), *where, *defined])
        self._must_run([*self._build_command(), "quarrow", _MODULE])
        for built in self._objects.glob("bindings/_core*.so"):
            link = self._tree / "python" / "quarrow" / built.name
            link.unlink(missing_ok=True)
            link.symlink_to(built)
        self._clean = self._object_code()

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """Make the change, ask its tests, and take the change back."""
        path = self._tree / mutant.path
        original = path.read_text(encoding="utf-8")
        path.write_text(mutant.applied_to(original), encoding="utf-8")
        try:
            return self._judge(mutant)
        except OutOfTimeError:
            return Verdict("left out")
        finally:
            path.write_text(original, encoding="utf-8")

    def is_green(self, step: Step) -> bool:
        """Whether the original passes a step; also when there is no time to ask."""
        try:
            return self._build(step.target) and self._ask(step.command)[0] == 0
        except OutOfTimeError:
            return True

    def _judge(self, mutant: Mutant) -> Verdict:
        if not mutant.path.endswith(".py"):
            if not self._build("quarrow", _MODULE):
                return Verdict("stillborn")
            if self._object_code() == self._clean:
                return Verdict("no effect")
        for step in self._steps(mutant.path):
            if not self._build(step.target):
                return Verdict("stillborn")
            status, output = self._ask(step.command)
            if status != 0:
                red = _RED_TEST.search(output)
                return Verdict("killed", step, (red[1] or red[2]) if red else None)
        return Verdict("survived")

    def _steps(self, path: str) -> list[Step]:
        reach = reach_of(path)
        # Tests come and go; one that is not there reaches nothing.
        layers = [layer for layer in reach.layers if (self._tree / "tests/cpp" / layer).exists()]
        steps = []
        for layer in layers:
            program = f"quarrow_{layer}_tests"
            command = (str(self._objects / "tests/cpp" / layer / program), "--gtest_fail_fast")
            steps.append(Step(program, command))
        files = [f"tests/python/{name}.py" for name in reach.files]
        there = [name for name in files if (self._tree / name).exists()]
        return [*steps, Step(_MODULE, (*_PYTEST, *there))] if there else steps

    # --- the copy

    def _copy_sources(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self._root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        wanted = {name for name in listed if (self._root / name).is_file()}
        for path in [path for path in self._tree.rglob("*") if path.is_file()]:
            if str(path.relative_to(self._tree)) not in wanted:
                path.unlink()
        for name in wanted:
            source, copy = self._root / name, self._tree / name
            # What is the same stays as old as it is, so that nothing is built for it.
            if copy.exists() and copy.read_bytes() == source.read_bytes():
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)

    def _make_venv(self) -> None:
        # The packages of the checkout's own environment, but not the hook by which that imports
        # the checkout: files like it are read in one folder alone.
        if not self._python().exists():
            venv.create(self._venv, symlinks=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = self._venv / "lib" / version / "site-packages"
        shared = Path(sys.prefix) / "lib" / version / "site-packages"
        lines = f"{self._tree / 'python'}\n{shared}\n"
        (packages / "mutants.pth").write_text(lines, encoding="utf-8")

    def _python(self) -> Path:
        return self._venv / "bin" / "python"

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        # No byte code: what is as old and as long as the original would be taken for it.
        return inherited | {
            "CCACHE_BASEDIR": str(self._tree),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self._scratch),
        }

    # --- building and running

    def _build_command(self) -> list[str]:
        return [str(_PROGRAMS / "cmake"), "--build", str(self._objects), "--target"]

    def _build(self, *targets: str) -> bool:
        return self._run([*self._build_command(), *targets])[0] == 0

    def _object_code(self) -> dict[Path, bytes]:
        found = {}
        for path in (*self._objects.glob("src/**/*.o"), *self._objects.glob("bindings/**/*.o")):
            age = path.stat().st_mtime_ns
            if self._seen.get(path, (0, b""))[0] != age:
                self._seen[path] = (age, hashlib.sha256(path.read_bytes()).digest())
            found[path] = self._seen[path][1]
        return found

    def _ask(self, command: tuple[str, ...]) -> tuple[int, str]:
        """Run tests, no longer than they can take."""
        taken = self._green.get(command)
        longest: float = _LONGEST_STEP
        if taken is not None:
            longest = min(longest, _TIMES_GREEN * taken + _BUSY_MACHINE)
        begun = time.monotonic()
        status, output = self._run(command, longest)
        if status == 0:
            self._green[command] = max(taken or 0, time.monotonic() - begun)
        return status, output

    def _must_run(self, command: Sequence[str]) -> None:
        status, output = self._run(command, longest=self.end)
        if status != 0:
            sys.stdout.write(output)
            raise subprocess.CalledProcessError(status, command)

    def _run(self, command: Sequence[str], longest: float = _LONGEST_STEP) -> tuple[int, str]:
        left = self.end - time.monotonic()
        if left <= 0:
            raise OutOfTimeError
        program = [str(self._python()) if part == sys.executable else part for part in command]
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        process = subprocess.Popen(
            program,
            cwd=self._tree,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_limit,  # noqa: PLW1509 - this process has one thread
        )
        with process:
            try:
                output, _ = process.communicate(timeout=min(left, longest))
            except subprocess.TimeoutExpired:
                if left < longest:
                    raise OutOfTimeError from None
                return 1, "it hangs"
            finally:
                # With what a test that failed or was stopped has left behind.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, output


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LONGEST_FILE, _LONGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
