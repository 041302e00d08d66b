# SPDX-License-Identifier: Apache-2.0
"""README's examples run, and print what it says they print."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from make_checkpoint import main as make_checkpoint

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def _folder_with_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = ROOT / "tests" / "support" / "manifests" / "flux_transformer_original.json"
    out = tmp_path / "flux.safetensors"
    part = r"^(img_in|double_blocks\.0\.img_attn)"
    make_checkpoint([str(manifest), str(out), "--match", part, "--dtype", "F16"])
    monkeypatch.chdir(tmp_path)


def test_python_examples() -> None:
    examples = "\n".join(blocks("python"))
    assert examples.count(">>>") > 10
    test = doctest.DocTestParser().get_doctest(examples, {}, "README.md", "README.md", 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert result.failed == 0


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
