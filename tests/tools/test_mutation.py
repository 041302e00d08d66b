# SPDX-License-Identifier: Apache-2.0
"""Mutants are changes of code alone, and one that no test notices is told."""

import re
import subprocess
from pathlib import Path

import pytest
from mutation import workshop
from mutation.__main__ import allowed, main
from mutation.mutants import mutants_of, sources
from mutation.reach import reach_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def changes(path: str, text: str) -> set[tuple[str, str]]:
    return {(each.operator, each.after.strip()) for each in mutants_of(path, text)}


def test_lines_of_cpp() -> None:
    text = """#include <a>
template <int kBits = 3>
int f(const T* a, int b) {
  if (a->size() <= b + 1 && b != 0x10) a->clear();
  b -= 2;
  throw_if(b);
  all[0].parts.reserve(b + 1);
  for (const auto& x : all) add(x, true);
  const int c = g(
      1U << b, a);
  if (const int d = c) return d * c;
}
"""
    assert changes("src/a.cpp", text) == {
        ("relation", "if (a->size() < b + 1 && b != 0x10) a->clear();"),
        ("relation", "if (a->size() <= b + 1 && b == 0x10) a->clear();"),
        ("arithmetic", "if (a->size() <= b - 1 && b != 0x10) a->clear();"),
        ("logic", "if (a->size() <= b + 1 || b != 0x10) a->clear();"),
        ("constant", "if (a->size() <= b + 2 && b != 0x10) a->clear();"),
        ("condition", "if (!(a->size() <= b + 1 && b != 0x10)) a->clear();"),
        ("arithmetic", "b += 2;"),
        ("constant", "b -= 3;"),
        ("statement", ";"),
        ("truth", "for (const auto& x : all) add(x, false);"),
        ("constant", "2U << b, a);"),
        ("bits", "1U >> b, a);"),
        ("arithmetic", "if (const int d = c) return d / c;"),
    }


def test_lines_of_python() -> None:
    text = '''"""Return 1 + 1 if x < 2."""
import a
@frozen(True)
def f(x: int | None = 3, *, y=4):
    """Not 2 > 1."""
    if x is None or y % 2 == 1:  # 1 + 1
        self.x = g("2 + 2")
    raise E(f"a < {x}" + b)
    y //= 2
    return x
'''
    found = changes("python/quarrow/a.py", text)
    assert found >= {
        ("logic", "if x is None and y % 2 == 1:  # 1 + 1"),
        ("arithmetic", "if x is None or y / 2 == 1:  # 1 + 1"),
        ("relation", "if x is None or y % 2 != 1:  # 1 + 1"),
        ("constant", "if x is None or y % 3 == 1:  # 1 + 1"),
        ("constant", "if x is None or y % 2 == 2:  # 1 + 1"),
        ("condition", "if not (x is None or y % 2 == 1):  # 1 + 1"),
        ("arithmetic", 'raise E(f"a < {x}" - b)'),
        ("constant", "y //= 3"),
        ("statement", "pass"),
    }
    assert len(found) == 9
    assert {each.line for each in mutants_of("a.py", text)} == {6, 7, 8, 9}


@pytest.mark.parametrize(
    "line",
    ["// a < b", "/* a < b\n 1 + 1 */", 'f("1 + 1")', 'R"(a\n < 1 + "1")"', "f('<', 100'000'000)"],
)
def test_comments_and_literals_are_left(line: str) -> None:
    assert changes("src/a.cpp", f"{line}\n") == set()


def test_a_mutant_changes_its_line_alone() -> None:
    text = "int a = 1;\nint b = 1;\n"
    made = mutants_of("src/a.cpp", text)
    assert [each.line for each in made] == [1, 2]
    assert made[1].applied_to(text) == "int a = 1;\nint b = 2;\n"


def test_every_source_has_tests_that_exist() -> None:
    for path in sources(ROOT):
        layers, files = reach_of(path)
        assert files, path
        for layer in layers:
            assert (ROOT / "tests/cpp" / layer).is_dir(), path
        for name in files:
            assert (ROOT / "tests/python" / f"{name}.py").is_file(), f"{path}: {name}"


def test_one_in_twenty_may_survive() -> None:
    assert [allowed(judged) for judged in (1, 15, 20, 21, 100)] == [1, 1, 1, 2, 5]


# A project whose test looks at one of three functions.
FILES = {
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES CXX)
add_subdirectory(src)
add_custom_target(_core)
add_subdirectory(tests/cpp/core)
""",
    "src/CMakeLists.txt": "add_library(quarrow STATIC core/sums.cpp)\n",
    "src/core/sums.cpp": """int doubled(int a) {
  const int twice = 2 * a;
  return twice;
}
int same(int a) {
  return a * 1;
}
int forgotten(int a) {
  return a + 7;
}
int wrong(int a) {
  throw doubled(a);
}
""",
    "tests/cpp/core/CMakeLists.txt": """add_executable(quarrow_core_tests main.cpp)
target_link_libraries(quarrow_core_tests quarrow)
""",
    "tests/cpp/core/main.cpp": """#include <cstdio>
int doubled(int);
int same(int);
int main() {
  if (doubled(3) == EXPECTED && same(3) == 3) return 0;
  std::puts("[  FAILED  ] Sums.AreDoubled");
  return 1;
}
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("EXPECTED", "6"), encoding="utf-8")
    (tmp_path / ".gitignore").write_text("build/\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


REASON = """
[[mutant]]
path = "src/core/sums.cpp"
before = "return a + 7;"
after = "return a {}"
reason = "nobody asks"
"""


def test_survivors_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = project / "reasons.toml"
    reasons.write_text("", encoding="utf-8")
    assert main(["--seed", "5"], project, reasons) == 1
    printed = capsys.readouterr().out
    assert "--seed 5" in printed
    assert printed.count("killed       src/core/sums.cpp:2 ") == 2
    assert printed.count(" by Sums.AreDoubled ") == 3
    assert printed.count("no effect    src/core/sums.cpp:6 arithmetic") == 1
    assert printed.count("survived     src/core/sums.cpp:9 ") == 2
    assert "-  return a + 7;\n+  return a - 7;" in printed
    assert "-  return a + 7;\n+  return a + 8;" in printed
    assert "mutation: 6 judged in " in printed
    assert FILES["src/core/sums.cpp"] == (project / "src/core/sums.cpp").read_text(encoding="utf-8")

    # One survivor is within the limit, as is one for which there is a reason.
    reasons.write_text(REASON.format("- 7;") + REASON.format("+ 8;"), encoding="utf-8")
    assert main(["--sample", "6"], project, reasons) == 0
    assert capsys.readouterr().out.count("has a reason src/core/sums.cpp:9 ") == 2


def test_a_test_that_is_red_anyway_finds_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = project / "tests/cpp/core/main.cpp"
    test.write_text(FILES["tests/cpp/core/main.cpp"].replace("EXPECTED", "5"), encoding="utf-8")
    reasons = project / "reasons.toml"
    reasons.write_text("", encoding="utf-8")
    assert main(["--sample", "1"], project, reasons) == 2
    assert "red without a mutant too: " in capsys.readouterr().out


def test_a_mutant_that_hangs_is_killed_soon_where_its_tests_were_green(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = project / "tests/cpp/core/main.cpp"
    hangs = "int doubled(int);\nint main() {\n  while (doubled(3) != 6) {}\n}\n"
    test.write_text(hangs, encoding="utf-8")
    reasons = project / "reasons.toml"
    reasons.write_text("", encoding="utf-8")
    monkeypatch.setattr(workshop, "_BUSY_MACHINE", 2)
    # This lot begins with a survivor.
    main(["--seed", "0"], project, reasons)
    printed = capsys.readouterr().out
    assert "killed       src/core/sums.cpp:2 constant by a crash" in printed
    assert all(int(seconds) < 60 for seconds in re.findall(r"\((\d+) s\)", printed))


def test_nothing_judged_is_no_success(project: Path) -> None:
    reasons = project / "reasons.toml"
    reasons.write_text("", encoding="utf-8")
    assert main(["--minutes", "0"], project, reasons) == 2
