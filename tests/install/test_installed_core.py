# SPDX-License-Identifier: Apache-2.0
"""Programs of other projects build against the core: installed, and as a folder of theirs.

Needs the preset `release`, built (`tools/setup cpp-tests`). Not part of `make test`.
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import quarrow as qr
from cpp_examples import ARRAY_EXAMPLE_PRINTS
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "release"
EXAMPLES = ROOT / "examples" / "cpp"
HEADERS = {str(path.relative_to(ROOT)) for path in ROOT.glob("include/**/*.h")}


def run(*command: str | Path) -> str:
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the core is installed, moved there from where it was."""
    first = tmp_path_factory.mktemp("install") / "first"
    run("cmake", "--install", BUILD, "--prefix", first)
    return first.rename(first.with_name("moved"))


def build(source: Path, folder: Path, *definitions: str) -> None:
    launcher = os.environ.get("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
    run("cmake", "-G", "Ninja", "-S", source, "-B", folder,
        f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}", *definitions)  # fmt: skip
    run("cmake", "--build", folder)


def check_examples(folder: Path, files: Path) -> None:
    assert run(folder / "quantize_array") == ARRAY_EXAMPLE_PRINTS
    weights = np.random.default_rng(0).normal(0, 0.02, (512, 1024)).astype(np.float32)
    source, made = files / "source.safetensors", files / "made.safetensors"
    save_file({"to_q.weight": weights, "norm.weight": weights[0]}, source)
    *_, progress, summary = run(folder / "quantize_file", source, made).splitlines()
    assert progress == "100 %"
    assert summary == f"1 of 2 tensors quantized, {made.stat().st_size} bytes written"
    with qr.open(made) as checkpoint:
        assert checkpoint["to_q.weight"] == qr.quantize(weights, "int8_rowwise")


def test_what_is_installed(prefix: Path) -> None:
    installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    rest = {name for name in installed - HEADERS if "/cmake/quarrow/" not in name}
    assert installed >= HEADERS
    assert {Path(name).name for name in rest} == {"libquarrow.a"}


def test_each_header_compiles_by_itself_with_what_is_installed() -> None:
    run("cmake", "--build", BUILD, "--target", "all_verify_interface_header_sets")
    compiled = {str(path) for path in BUILD.rglob("*.h.cxx.o")}
    assert len(compiled) == len(HEADERS)


def test_examples_against_the_installed_core(prefix: Path, tmp_path: Path) -> None:
    build(EXAMPLES, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    check_examples(tmp_path / "build", tmp_path)


def test_examples_with_the_core_as_a_folder(tmp_path: Path) -> None:
    # As deep as the presets' folders, for ccache.
    folder = ROOT / "build" / "parent"
    shutil.rmtree(folder, ignore_errors=True)
    build(ROOT / "tests" / "install" / "parent", folder, f"-DQUARROW={ROOT}",
          "-DCMAKE_CXX_FLAGS_INIT=-O2")  # fmt: skip
    check_examples(folder / "examples", tmp_path)


def test_another_version_is_not_taken(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\n"
        "project(other LANGUAGES CXX)\n"
        "find_package(quarrow 0.1 QUIET)\n"
        "set(found ${quarrow_FOUND})\n"
        "find_package(quarrow 0.0 QUIET)\n"
        'message("-- ${found} ${quarrow_FOUND} ${quarrow_CONSIDERED_VERSIONS}")\n'
    )
    shown = run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert "1 0 0.1.0" in shown
