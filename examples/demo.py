# SPDX-License-Identifier: Apache-2.0
"""Quantize a diffusion model and a LoRA, and show what it costs and what it gives.

    python examples/demo.py [--quick] [--keep DIR]

`make demo` runs this. Both files are made here, with the tensor names and shapes of published
models and seeded random values. They go to a temporary folder, which is removed at the end.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import quarrow as qr

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
ROUNDS = 3


@dataclass(frozen=True)
class Scale:
    """How much of each model is made."""

    flux: tuple[str, ...]
    lora: tuple[str, ...]
    disk_bytes: int


# The input and a plain copy of it are the most that lies on the disk at once.
FULL = Scale(("--blocks", "1"), (), 2_300_000_000)
QUICK = Scale(("--blocks", "1", "--max-bytes", "80M"), ("--limit-tensors", "30"), 200_000_000)


def main() -> int:
    """Run the demo; return the exit code."""
    options = parse_arguments()
    scale = QUICK if options.quick else FULL
    with ExitStack() as stack:
        folder = options.keep
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quarrow-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < scale.disk_bytes:
            return fail(
                f"{folder} has {megabytes(free)} free, the demo needs "
                f"{megabytes(scale.disk_bytes)}; set TMPDIR, or pass --keep DIR"
            )
        show_flux(folder, scale)
        show_lora(folder, scale)
        if options.keep is not None:
            say(f"\nThe files are in {folder}.")
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line of the demo."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a small slice of each model")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="write to DIR and keep the files")
    return parser.parse_args()


def show_flux(folder: Path, scale: Scale) -> None:
    """Quantize two blocks of Flux through the command line, and compare with a plain copy."""
    say("1. A double and a single block of FLUX.1 (original names, bf16, random values)\n")
    source = make_checkpoint(folder, "flux_transformer_original", "flux", scale.flux)
    destination = folder / "flux-int8.safetensors"
    arguments = [source.name, destination.name, "--format", "int8_rowwise"]
    say(f"$ quarrow quantize {shlex.join([*arguments, '--error'])}")
    quarrow_command(folder, "quantize", *arguments, "--error", "--force")

    copy_seconds, job_seconds, command_seconds = [], [], []
    for _ in range(ROUNDS):
        destination.unlink()
        copy_seconds.append(plain_copy(source, folder / "copy.safetensors"))
        start = time.perf_counter()
        report = quarrow_report(folder, "quantize", *arguments)
        command_seconds.append(time.perf_counter() - start)
        job_seconds.append(report["seconds"])
    copy, job = min(copy_seconds), min(job_seconds)
    say(
        f"\nWithout measuring errors, best of {ROUNDS}, the input in memory, the output synced to"
        " the disk:"
    )
    say(f"  plain copy of the file  {copy:6.2f} s")
    say(f"  quarrow quantize        {job:6.2f} s   {job / copy:.2f} x the copy")
    say(f"  the whole command       {min(command_seconds):6.2f} s   with the start of Python")


def show_lora(folder: Path, scale: Scale) -> None:
    """Quantize a LoRA from lists, from numpy arrays, and file to file."""
    say("\n2. A LoRA file (Stable Diffusion 1.5, rank 16, f16), three ways\n")
    source = make_checkpoint(folder, "sd15_lora_kohya_r16", "lora", scale.lora)
    weights = read_matrices(source)
    lists = {name: weight.ravel().tolist() for name, weight in weights.items()}

    start = time.perf_counter()
    from_lists = qr.legacy.quantize(lists, bit_width=8)
    list_seconds = time.perf_counter() - start
    start = time.perf_counter()
    from_numpy = {
        name: qr.quantize(weight, "int8", group_size="tensor") for name, weight in weights.items()
    }
    numpy_seconds = time.perf_counter() - start
    require_same_bytes(from_lists, from_numpy)
    report = quarrow_report(
        folder,
        "quantize",
        source.name,
        "lora-int8.safetensors",
        "--format",
        "int8_rowwise",
        "--force",
    )

    per_tensor = "int8, one scale per tensor"
    say(f"  {'way':<34}{'format':<29}{'time':>11}")
    say(f"  {'legacy.quantize, Python lists':<34}{per_tensor:<29}{milliseconds(list_seconds)}")
    say(f"  {'quantize, numpy arrays':<34}{per_tensor:<29}{milliseconds(numpy_seconds)}")
    say(
        f"  {'quarrow quantize, file to file':<34}{'int8_rowwise, one per row':<29}"
        f"{milliseconds(report['seconds'])}"
    )
    say(
        f"\n{len(weights)} matrices. Lists and arrays gave the same codes, scales and zero points,"
        f"\narrays {list_seconds / numpy_seconds:.0f} times faster. The file:"
        f" {megabytes(report['bytes_in'])} -> {megabytes(report['bytes_out'])}, an archive:"
        "\nno runtime loads a LoRA in int8."
    )


def make_checkpoint(folder: Path, manifest: str, name: str, selection: tuple[str, ...]) -> Path:
    """Write `NAME.safetensors` into the folder by a manifest of tests/support."""
    path = folder / f"{name}.safetensors"
    start = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            SUPPORT / "make_checkpoint.py",
            SUPPORT / "manifests" / f"{manifest}.json",
            path,
            *selection,
        ],
        check=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - start
    say(f"{path.name}: {megabytes(path.stat().st_size)}, made in {seconds:.1f} s")
    return path


def quarrow_command(folder: Path, *arguments: str) -> None:
    """Run `quarrow` in the folder; its progress bar and its summary reach this terminal."""
    subprocess.run([sys.executable, "-m", "quarrow.cli", *arguments], check=True, cwd=folder)


def quarrow_report(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run `quarrow` in the folder without a progress bar and return its JSON report."""
    result = subprocess.run(
        [sys.executable, "-m", "quarrow.cli", *arguments, "--json"],
        check=True,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def plain_copy(source: Path, destination: Path) -> float:
    """Copy a file, sync it to the disk, remove the copy; return the seconds without the removal."""
    start = time.perf_counter()
    shutil.copyfile(source, destination)
    with destination.open("rb") as copied:
        os.fsync(copied.fileno())
    seconds = time.perf_counter() - start
    destination.unlink()
    return seconds


def read_matrices(path: Path) -> dict[str, npt.NDArray[np.float16]]:
    """Return the 2-D tensors of an f16 safetensors file, mapped, not copied."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    header_bytes = int(data[:8].view("<u8")[0])
    header = json.loads(data[8 : 8 + header_bytes].tobytes())
    header.pop("__metadata__", None)
    body = data[8 + header_bytes :]
    return {
        name: body[slice(*entry["data_offsets"])].view("<f2").reshape(entry["shape"])
        for name, entry in header.items()
        if len(entry["shape"]) == 2
    }


def require_same_bytes(from_lists: dict[str, Any], from_numpy: dict[str, Any]) -> None:
    """Fail unless both ways gave the same codes, scales and zero points for every tensor."""
    for name, array_result in from_numpy.items():
        for field in ("codes", "scales", "zero_points"):
            expected = getattr(array_result, field)
            actual = np.array(from_lists[name][field], dtype=expected.dtype)
            if actual.tobytes() != expected.tobytes():
                msg = f"{name}: the {field} of lists and of numpy arrays differ"
                raise AssertionError(msg)


def megabytes(size_bytes: int) -> str:
    """Return a size as `1,091.1 MB`."""
    return f"{size_bytes / 1e6:,.1f} MB"


def milliseconds(seconds: float) -> str:
    """Return a time as ` 1,234.5 ms`, eleven characters wide."""
    return f"{seconds * 1e3:>8,.1f} ms"


def say(text: str) -> None:
    """Print at once: the commands that the demo runs write to the same terminal."""
    print(text, flush=True)


def fail(message: str) -> int:
    """Write one line to standard error and return the exit code 1."""
    print(f"demo: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    # Both signals become exceptions, so that the temporary folder is removed.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except subprocess.CalledProcessError as error:
        print(error.stderr or "", end="", file=sys.stderr)
        sys.exit(fail(f"a command ended with exit code {error.returncode}"))
