# SPDX-License-Identifier: Apache-2.0
"""ComfyUI's own modules, imported from the checkout that the variable COMFYUI names.

They run on the CPU. What they import for images, sound and sampling is not needed to load a model:
empty modules stand in for it where it is not installed.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

STAND_INS = ("torchvision", "torchaudio", "torchsde", "kornia", "spandrel", "av", "OpenGL", "glfw")


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules for which no other finder was found."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".", maxsplit=1)[0] not in STAND_INS:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


@contextmanager
def imported() -> Iterator[ModuleType]:
    """Give the package `comfy`, or skip the tests that ask for it.

    Other packages ask once what is installed. Let them be imported before: a stand-in that is there
    for ComfyUI must not be taken for the real one.
    """
    checkout = os.environ.get("COMFYUI")
    if not checkout:
        pytest.skip("COMFYUI names no checkout of ComfyUI")
    if not (Path(checkout) / "comfy" / "sd.py").is_file():
        pytest.fail(f"COMFYUI={checkout} is no checkout of ComfyUI")
    finder = _StandIns()
    sys.meta_path.append(finder)
    sys.path.insert(0, checkout)
    arguments, sys.argv = sys.argv, ["comfyui", "--cpu"]
    try:
        options = importlib.import_module("comfy.options")
        options.enable_args_parsing()
        for name in ("comfy.cli_args", "comfy.utils", "comfy.sd", "comfy.controlnet"):
            importlib.import_module(name)
        sys.argv = arguments
        yield sys.modules["comfy"]
    except ModuleNotFoundError as missing:
        pytest.skip(f"ComfyUI needs the package {missing.name}")
    finally:
        sys.argv = arguments
        sys.path.remove(checkout)
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if isinstance(module, _StandIn):
                del sys.modules[name]
