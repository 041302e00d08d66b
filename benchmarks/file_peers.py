# SPDX-License-Identifier: Apache-2.0
"""Other libraries' ways from a float file to an int8 file, one scale a row, where installed."""

import contextlib
import importlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.fixtures import lacking, torch

FileWay = Callable[[Path, Path], object]


@dataclass(frozen=True)
class FilePeer:
    """A library that makes int8 of the 2-D weights of a safetensors file.

    `modules` are imported before anything is timed, the first is the library's own; `needs` are
    others that its package does not always bring.
    """

    id: str
    title: str
    package: str
    modules: tuple[str, ...]
    run: FileWay
    seconds_per_gb: float
    needs: tuple[str, ...] = ()

    @property
    def lacks(self) -> str:
        """Why it cannot run here; "" where it can."""
        return lacking(self.modules[0], *self.needs)

    def load(self) -> None:
        """Import what the job needs, so that no time is that of an import; two threads for it."""
        for name in ("torch", "safetensors.torch", *self.modules):
            importlib.import_module(name)
        torch().set_num_threads(2)


def _through_torch(source: Path, out: Path, quantize: Callable[[Any], tuple[Any, Any]]) -> None:
    files = importlib.import_module("safetensors.torch")
    tensors = {}
    for name, w in files.load_file(source).items():
        if w.ndim == 2 and name.endswith(".weight"):
            tensors[name], tensors[f"{name}_scale"] = quantize(w)
        else:
            tensors[name] = w
    files.save_file(tensors, out)


def _torch(source: Path, out: Path) -> None:
    rowwise = importlib.import_module("benchmarks.array_peers.torch_peers").eager_rowwise
    _through_torch(source, out, lambda w: rowwise(w.float()))


def _comfy_kitchen(source: Path, out: Path) -> None:
    library = importlib.import_module("comfy_kitchen")
    _through_torch(source, out, library.quantize_int8_rowwise)


def _torchao(source: Path, out: Path) -> None:
    library = importlib.import_module("torchao.quantization")
    tensors = {}
    for name, w in importlib.import_module("safetensors.torch").load_file(source).items():
        tensors[name] = w
        if w.ndim == 2 and name.endswith(".weight"):
            linear = torch().nn.Linear(w.shape[1], w.shape[0], bias=False, device="meta")
            linear.weight = torch().nn.Parameter(w)
            library.quantize_(linear, library.Int8WeightOnlyConfig())
            tensors[name] = linear.weight
    # Its tensors go into no safetensors file.
    torch().save(tensors, out)


def _convert_to_quant(source: Path, out: Path) -> None:
    program = importlib.import_module("convert_to_quant.convert_to_quant")
    how = ["--int8", "--simple", "--comfy_quant", "--scaling_mode", "row"]
    arguments = ["ctq", "-i", str(source), "-o", str(out), *how]
    with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(io.StringIO()):
        program.main()


# fmt: off
PEERS = (
    FilePeer("torch", "torch eager, loaded and saved by safetensors", "torch", ("torch",), _torch,
             5.0),
    FilePeer("comfy_kitchen", "comfy-kitchen, loaded and saved by safetensors", "comfy-kitchen",
             ("comfy_kitchen",), _comfy_kitchen, 3.0),
    FilePeer("torchao", "torchao, to a torch file", "torchao",
             ("torchao", "torchao.quantization"), _torchao, 6.0),
    FilePeer("convert_to_quant", "convert_to_quant", "convert-to-quant",
             ("convert_to_quant", "convert_to_quant.convert_to_quant"), _convert_to_quant, 40.0,
             needs=("triton",)),
)
# fmt: on


def missing() -> dict[str, str]:
    return {peer.package: peer.lacks for peer in PEERS if peer.lacks}
