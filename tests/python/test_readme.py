# SPDX-License-Identifier: Apache-2.0
"""README's examples run, and print what it says they print."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cpp_examples import ARRAY_EXAMPLE_PRINTS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def _folder_with_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What `make example-input` runs.
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (demo,) = re.findall(r"^example-input:\n.*\n\t@.venv/bin/python (.*)$", makefile, re.MULTILINE)
    script, *options = demo.split()
    command = [sys.executable, ROOT / script, *options, "--out", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.chdir(tmp_path)


def test_the_first_screen_says_what_it_is_and_what_loads_the_result() -> None:
    first = README[: README.index("```")].split("\n\n")
    assert first[0] == "# quarrow"
    assert first[1].startswith("quarrow quantizes ")
    assert first[1].count(". ") == 0
    words = "\n".join(first)
    assert "**What loads the result.**" in words
    assert words.count("![") == 1
    head, rule, *rows = re.findall(r"^\| *\S.*\|$|^\|---.*$", words, re.MULTILINE)
    assert head == "| job | quarrow | the fastest beside it | times as fast |"
    assert set(rule) == {"|", "-"}
    assert len(rows) == 3
    assert all(re.fullmatch(r"\| .+ \| .+ \| .+: .+ \| [\d.]+ .*x \|", row) for row in rows)


def test_every_command_of_make_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "example-input", "test", "test-quick", "bench"} <= named <= targets


def test_every_link_leads_to_a_file_or_a_heading() -> None:
    headings = {
        re.sub(r"[^\w-]", "", each.lower().replace(" ", "-"))
        for each in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    for link in links:
        path, _, heading = link.partition("#")
        assert (ROOT / path).is_file() if path else heading in headings, link
    for path in re.findall(r"`((?:docs|examples|tests|benchmarks|src)/[\w./]+)`", README):
        assert (ROOT / path).exists(), path


@pytest.mark.usefixtures("_folder_with_the_input")
def test_python_examples() -> None:
    examples = "\n".join(blocks("python"))
    assert examples.count(">>>") > 10
    test = doctest.DocTestParser().get_doctest(examples, {}, "README.md", "README.md", 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert result.failed == 0


@pytest.mark.usefixtures("_folder_with_the_input")
def test_console_examples() -> None:
    sessions = [
        re.match(r"\$ (.*)\n((?:.*\n)*)", part)
        for block in blocks("console")
        for part in re.split(r"(?m)^(?=\$ )", block)
        if part
    ]
    assert sessions
    # The command of this interpreter's own environment, whatever else is installed.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for session in sessions:
        assert session is not None
        command, expected = session.groups()
        shown = subprocess.run(
            command,
            shell=True,
            check=False,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert shown.returncode == 0, shown.stdout
        assert doctest.OutputChecker().check_output(expected, shown.stdout, doctest.ELLIPSIS), (
            f"$ {command}\n{shown.stdout}"
        )


def test_the_program_in_cpp_is_the_first_example_which_ci_builds_and_runs() -> None:
    (shown,) = blocks("cpp")
    licence, program = (ROOT / "examples/cpp/quantize_array.cpp").read_text().split("\n", 1)
    assert licence.startswith("// SPDX")
    assert shown == program
    (lines,) = blocks("cmake")
    cmake = (ROOT / "examples/cpp/CMakeLists.txt").read_text()
    for line in lines.splitlines():
        assert line in [each.strip() for each in cmake.splitlines()]
    (printed,) = blocks("text")
    assert printed == ARRAY_EXAMPLE_PRINTS
