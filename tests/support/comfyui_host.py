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
from collections.abc import Sequence
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


def import_comfyui() -> ModuleType:
    """Return the package `comfy`, or skip the module of tests that asks for it."""
    checkout = os.environ.get("COMFYUI")
    if not checkout:
        pytest.skip("COMFYUI names no checkout of ComfyUI", allow_module_level=True)
    if not (Path(checkout) / "comfy" / "sd.py").is_file():
        pytest.fail(f"COMFYUI={checkout} is no checkout of ComfyUI")
    sys.meta_path.append(_StandIns())
    sys.path.insert(0, checkout)
    arguments, sys.argv = sys.argv, ["comfyui", "--cpu"]
    try:
        options = importlib.import_module("comfy.options")
        options.enable_args_parsing()
        for name in ("comfy.cli_args", "comfy.utils", "comfy.sd", "comfy.controlnet"):
            importlib.import_module(name)
    except ModuleNotFoundError as missing:
        pytest.skip(f"ComfyUI needs the package {missing.name}", allow_module_level=True)
    finally:
        sys.argv = arguments
    return sys.modules["comfy"]
