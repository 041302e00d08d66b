# SPDX-License-Identifier: Apache-2.0
"""Files of real geometry with seeded values, in a folder that is gone when the process is."""

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "tests" / "support"


@dataclass(frozen=True)
class Model:
    """A file of real geometry with seeded values."""

    name: str
    words: str
    manifest: str
    selection: tuple[str, ...]
    megabytes: int  # about
    legacy_seconds: float = 0.0  # about


LORA = Model("lora", "LoRA of SD 1.5, rank 16", "sd15_lora_kohya_r16", (), 19, 1.2)
CONTROLNET = Model(
    "controlnet",
    "FLUX ControlNet, its first 200 MB",
    "flux_controlnet_small",
    ("--max-bytes", "200M", "--dtype", "F16"),
    200,
    12.0,
)
# Nobody waits for lists of this one.
LARGE = Model(
    "flux",
    "FLUX ControlNet of 1.1 GB",
    "flux_controlnet_small",
    ("--blocks", "1"),
    1092,
)


@functools.cache
def folder() -> Path:
    """Return a folder that is gone when the process is."""
    made = Path(tempfile.mkdtemp(prefix="quarrow-end-to-end-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def source_of(model: Model) -> Path:
    """Write the file of a model."""
    path = folder() / f"{model.name}.safetensors"
    script, manifest = SUPPORT / "make_checkpoint.py", SUPPORT / "manifests"
    command = [sys.executable, str(script), str(manifest / f"{model.manifest}.json"), str(path)]
    subprocess.run([*command, *model.selection], check=True, capture_output=True)
    return path
