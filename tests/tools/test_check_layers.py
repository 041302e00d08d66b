# SPDX-License-Identifier: Apache-2.0
"""The check of layers finds each kind of violation, and none in this checkout."""

from pathlib import Path

import pytest
from check_layers import main, violations

ROOT = Path(__file__).parents[2]


def plant(root: Path, place: str, text: str) -> None:
    path = root / place
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="ascii")


def test_this_checkout_is_clean() -> None:
    assert list(violations(ROOT)) == []


@pytest.mark.parametrize(
    ("place", "line", "problem"),
    [
        ("src/core/a.cpp", "#include <Python.h>", "Python.h is for bindings/ alone"),
        ("include/quarrow/core/a.h", "#include <nanobind/nanobind.h>", "bindings/ alone"),
        ("src/core/a.cpp", '#include "quarrow/quantize/plan.h"', "quantize is not below it"),
        ("src/kernels/a.cpp", '#  include "quantize/geometry.h"', "quantize is not below it"),
        ("src/quantize/a.cpp", '#include "quarrow/containers/file.h"', "containers is not below"),
        ("src/containers/a.cpp", '#include "quarrow/layouts/layout.h"', "layouts is not below it"),
        ("src/layouts/a.cpp", '#include "pipeline/copy_bytes.h"', "pipeline is not below it"),
        ("src/containers/a.cpp", '#include "models/flux.h"', "models is not below it"),
        ("src/models/a.cpp", '#include "quarrow/layouts/layout.h"', "layouts is not below it"),
        ("src/layouts/a.cpp", '#include "lora/keys.h"', "lora is not below it"),
        ("src/lora/a.cpp", '#include "pipeline/copy_bytes.h"', "pipeline is not below it"),
        ("include/quarrow/core/a.h", '#include "core/tile_loop.h"', "which is private"),
        ("src/misc/a.cpp", "#include <vector>", "none of the layers"),
        ("src/kernels/a.cpp", "auto y = hn::MulAdd(a, b, c);", "MulAdd is banned here"),
        ("src/kernels/a.cpp", "auto y = hn::NegMulSub(a, b, c);", "NegMulSub is banned here"),
        ("src/kernels/a.cpp", "auto y = std::fma(a, b, c);", "fma is banned here"),
        ("src/core/a.cpp", "hwy::DisableTargets(1);", "DisableTargets is banned here"),
        ("bindings/a.cpp", "hwy::SetSupportedTargetsForTest(1);", "is banned here"),
    ],
)
def test_a_planted_violation_is_found(
    tmp_path: Path, place: str, line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(tmp_path, place, f"/* a comment\n over two lines */\n{line}\n")
    (found,) = violations(tmp_path)
    assert found.startswith(f"{place}:3: ")
    assert problem in found
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{found}\n"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("src/layouts/a.cpp", '#include "quarrow/containers/file.h"\n#include "quantize/plan.h"\n'),
        ("src/pipeline/a.cpp", '#include "lora/keys.h"\n#include "models/flux.h"\n'),
        ("src/lora/a.cpp", '#include "quarrow/layouts/layout.h"\n#include "models/flux.h"\n'),
        ("src/layouts/a.cpp", '#include "models/flux.h"\n'),
        ("src/kernels/a.cpp", "// MulAdd would change bits\n/* nor\n std::fma */ int x;\n"),
        ("src/quantize/a.cpp", "auto y = std::fma(a, b, c);\n"),
        ("bindings/a.cpp", '#include <Python.h>\n#include "quarrow/pipeline/file_plan.h"\n'),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, place: str, text: str) -> None:
    plant(tmp_path, place, text)
    assert main([str(tmp_path)]) == 0
