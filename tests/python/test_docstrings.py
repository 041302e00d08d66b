# SPDX-License-Identifier: Apache-2.0
"""The examples of the compiled part run; those of the Python modules run as doctests anyway."""

import doctest
from collections.abc import Iterator
from types import ModuleType

import pytest
from quarrow import _core


def documented(owner: ModuleType | type, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        yield prefix + name, getattr(value, "__doc__", None) or ""
        if isinstance(value, type):
            yield from documented(value, f"{prefix}{name}.")


DOCUMENTED = dict(documented(_core, ""))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_run(name: str) -> None:
    examples = doctest.DocTestParser().get_doctest(DOCUMENTED[name], {}, name, None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    lines: list[str] = []
    runner.run(examples, out=lines.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(lines)


def test_everything_public_is_documented() -> None:
    assert [name for name, text in DOCUMENTED.items() if not text.strip()] == []


@pytest.mark.parametrize(
    "name",
    [
        "Format",
        "QuantizedTensor",
        "QuantizedTensor.dequantize",
        "formats",
        "info",
        "metrics",
        "quantize",
        "quantize_batch",
    ],
)
def test_the_main_entry_points_have_examples(name: str) -> None:
    assert ">>>" in DOCUMENTED[name]
