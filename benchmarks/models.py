# SPDX-License-Identifier: Apache-2.0
"""Adapters and models of real geometry: as files of seeded values, or as arrays in memory."""

import argparse
import atexit
import functools
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fixtures import Array, pool

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
sys.path.append(str(SUPPORT))
import make_checkpoint  # noqa: E402
from checkpoint_values import DEFAULT_RULES  # noqa: E402


@dataclass(frozen=True)
class Model:
    """What a manifest describes, every float of it as float16.

    Of an adapter `rank` may be another than the manifest's (0 leaves it); of a model the first
    `blocks` of the repeated ones are kept (None keeps all).
    """

    name: str
    words: str
    manifest: str
    rank: int = 0
    blocks: int | None = None

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in geometry(self))

    @property
    def megabytes(self) -> float:
        return self.bytes / 1e6


RANKS = (4, 16, 128)
_ADAPTERS = (
    ("sd15", "SD 1.5", "sd15_lora_kohya_r16"),
    ("sdxl", "SDXL", "sdxl_lora_peft_r16"),
    ("flux", "FLUX", "flux_lora_diffusers_r16"),
)
LORAS = {
    f"lora_{name}_r{rank}": Model(
        f"lora_{name}_r{rank}", f"LoRA of {words}, rank {rank}", manifest, rank
    )
    for name, words, manifest in _ADAPTERS
    for rank in RANKS
}
CONTROLNET = Model("controlnet", "FLUX ControlNet of 1.1 GB", "flux_controlnet_small", blocks=1)


def with_rank(name: str, shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Return the shape of an adapter's layer at another rank: a down has it first, an up second."""
    if "lora_down" in name or "lora_A" in name:
        return (rank, *shape[1:])
    if "lora_up" in name or "lora_B" in name:
        return (shape[0], rank, *shape[2:])
    return shape


@functools.cache
def _manifest(name: str) -> dict[str, Any]:
    text = (SUPPORT / "manifests" / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@functools.cache
def geometry(model: Model) -> list[make_checkpoint.Tensor]:
    """Return the tensors of a model in the order of its manifest."""
    tensors = [
        make_checkpoint.Tensor(
            name, "F16", with_rank(name, tuple(shape), model.rank) if model.rank else tuple(shape)
        )
        for name, _, shape in _manifest(model.manifest)["tensors"]
    ]
    wanted = argparse.Namespace(match=None, blocks=model.blocks, limit_tensors=None, max_bytes=None)
    return make_checkpoint.select(tensors, wanted)


@functools.cache
def arrays(model: Model) -> dict[str, Array]:
    """Return a model as a program holds it, in memory of its own: parts of the random weights."""
    whole = pool().ravel()
    made: dict[str, Array] = {}
    start = 0
    for tensor in geometry(model):
        # A step that nothing divides: no two layers are alike.
        start = (start + 104_729) % (whole.size - tensor.elements)
        values = whole[start : start + tensor.elements]
        made[tensor.name] = values.astype(np.float16).reshape(tensor.shape)
    return made


def layers_of(tensors: dict[str, Array]) -> dict[str, Array]:
    """Return what is quantized: the matrices."""
    return {name: w for name, w in tensors.items() if w.ndim == 2}


@functools.cache
def folder() -> Path:
    """Return a folder that is gone when the process is."""
    made = Path(tempfile.mkdtemp(prefix="quarrow-end-to-end-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def source_of(model: Model) -> Path:
    path = folder() / f"{model.name}.safetensors"
    manifest = _manifest(model.manifest)
    rules = manifest.get("fill", {}).get("rules") or DEFAULT_RULES
    filling = make_checkpoint.Filling(rules, 0)
    make_checkpoint.write_file(path, geometry(model), manifest["metadata"], filling, 2)
    return path
