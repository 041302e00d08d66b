# SPDX-License-Identifier: Apache-2.0
"""The check of habits finds each kind of lapse."""

from pathlib import Path

import pytest
from check_hygiene import findings

# Not spelled here: this file is checked too.
LATER = "todo".upper()
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("utils.cpp", LICENCE, "1: 'utils' says nothing"),
        ("scale_v2.h", LICENCE, "1: 'scale_v2' says nothing"),
        ("a.cpp", "int a;\n", "1: the SPDX line is missing"),
        ("a.cpp", f"{LICENCE}int a;", "2: the file must end with one newline"),
        ("a.cpp", f"{LICENCE}int a;\n\n", "4: the file must end with one newline"),
        ("a.cpp", f"{LICENCE}int a; \n", "2: trailing space"),
        ("a.cpp", f"{LICENCE}// \u00b5s\n", "2: a character that is not ASCII"),
        ("a.cpp", f"{LICENCE}\tint a;\n", "2: a tab"),
        ("a.cpp", f"{LICENCE}// {LATER}: later\n", "2: left for later"),
        ("a.md", "<" * 7 + " HEAD\n", "1: left for later, or left over"),
        ("a.cpp", LICENCE + "int a;\n" * 400, "400: more than 400 lines"),
        ("a.json", "1" * 200_001 + "\n", "1: more than 200000 bytes"),
    ],
)
def test_a_lapse_is_found(tmp_path: Path, name: str, text: str, finding: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    (found,) = findings(path)
    assert found.startswith(finding)


def test_a_tidy_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "tile_loop.cpp"
    path.write_text(LICENCE + "int a;\n" * 399, encoding="utf-8")
    assert list(findings(path)) == []
