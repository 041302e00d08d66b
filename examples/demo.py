# SPDX-License-Identifier: Apache-2.0
"""Quantize a diffusion model and a LoRA, and show what it costs and what it gives.

    python examples/demo.py [--quick] [--out DIR] [--keep-large]
    python examples/demo.py --only-input [--out DIR]

`make demo` runs this. Both files are made here, with the tensor names and shapes of published
models and seeded random values. Every command is printed as it is run, so that it can be repeated
in the same folder. The small files stay; those of hundreds of megabytes are removed at the end.

`make example-input` runs the second: it writes the file that the examples of README begin with.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import quarrow as qr

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
ROUNDS = 3
# Larger files do not stay.
SMALL_BYTES = 100_000_000


@dataclass(frozen=True)
class Scale:
    """How much of each model is made."""

    flux: tuple[str, ...]
    lora: tuple[str, ...]
    disk_bytes: int


# The input and a plain copy of it are the most that lies on the disk at once.
FULL = Scale(("--blocks", "1"), (), 2_300_000_000)
QUICK = Scale(("--blocks", "1", "--max-bytes", "80M"), ("--limit-tensors", "30"), 200_000_000)
# What README's examples are run with: the first attention, in float16.
EXAMPLE = ("--match", r"^(img_in|double_blocks\.0\.img_attn)", "--dtype", "F16")


def main() -> int:
    """Run the demo; return the exit code."""
    options = parse_arguments()
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    if options.only_input:
        write_example_input(folder)
        return 0
    scale = QUICK if options.quick else FULL
    free = shutil.disk_usage(folder).free
    if free < scale.disk_bytes:
        return fail(
            f"{folder} has {megabytes(free)} free, the demo needs {megabytes(scale.disk_bytes)}; "
            "pass --out DIR"
        )
    with ExitStack() as stack:
        if not options.keep_large:
            # Also after an error, or Ctrl-C.
            stack.callback(remove_large_files, folder)
        show_flux(folder, scale)
        show_lora(folder, scale)
    say(f"\nIn {folder}:")
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        say(f"  {path.name:<28}{path.stat().st_size / 1e3:>12,.0f} kB")
    if not options.keep_large:
        say(f"Files above {megabytes(SMALL_BYTES)} are removed; the commands make them again.")
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line of the demo."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a small slice of each model")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("demo-out"), help="default: demo-out"
    )
    parser.add_argument("--keep-large", action="store_true", help="leave the large files too")
    parser.add_argument(
        "--only-input", action="store_true", help="write README's flux.safetensors, nothing else"
    )
    return parser.parse_args()


def write_example_input(folder: Path) -> None:
    """Write the file that README's examples begin with, and say how to go on there."""
    make_checkpoint("flux_transformer_original", folder / "flux.safetensors", EXAMPLE)
    say(f"\nThe examples of README are for this folder: cd {shlex.quote(str(folder))}")
    if shutil.which("quarrow") is None:
        scripts = Path(sys.executable).parent
        say(f"The command is in {scripts}: export PATH={shlex.quote(str(scripts))}:$PATH")


def show_flux(folder: Path, scale: Scale) -> None:
    """Quantize two blocks of Flux through the command line, and compare with a plain copy."""
    say("1. A double and a single block of FLUX.1 (original names, bf16, random values)\n")
    source = folder / "flux-blocks.safetensors"
    destination = folder / "flux-int8.safetensors"
    make_checkpoint("flux_transformer_original", source, scale.flux)
    arguments = ("quantize", source, destination, "--format", "int8_rowwise", "--force")
    run([*quarrow_command(), *arguments, "--report", folder / "flux-int8.html"])

    copy_seconds, job_seconds, command_seconds = [], [], []
    for _ in range(ROUNDS):
        destination.unlink()
        copy_seconds.append(plain_copy(source, folder / "copy.safetensors"))
        start = time.perf_counter()
        report = quarrow_report(*arguments)
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
    source = folder / "lora.safetensors"
    make_checkpoint("sd15_lora_kohya_r16", source, scale.lora)
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
    destination = folder / "lora-int8.safetensors"
    arguments = ("quantize", source, destination, "--format", "int8_rowwise", "--force")
    show([*quarrow_command(), *arguments])
    report = quarrow_report(*arguments)

    per_tensor = "int8, one scale per tensor"
    say(f"\n  {'way':<34}{'format':<29}{'time':>11}")
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


def make_checkpoint(manifest: str, path: Path, selection: Sequence[str]) -> None:
    """Write a file by a manifest of tests/support, through a command that is shown."""
    maker = (SUPPORT / "make_checkpoint.py", SUPPORT / "manifests" / f"{manifest}.json")
    start = time.perf_counter()
    run([sys.executable, *maker, path, *selection], stderr=subprocess.PIPE)
    seconds = time.perf_counter() - start
    say(f"{path.name}: {megabytes(path.stat().st_size)}, made in {seconds:.1f} s\n")


def quarrow_command() -> list[str | Path]:
    """Return the command of this interpreter's environment, whatever else is installed."""
    script = Path(sys.executable).parent / "quarrow"
    return [script] if script.exists() else [sys.executable, "-m", "quarrow"]


def show(command: Sequence[str | Path]) -> None:
    """Print a command for the folder in which the demo was started."""
    words = [Path(os.path.relpath(each)) if Path(each).is_absolute() else each for each in command]
    say(f"$ {shlex.join(map(str, words))}")


def run(command: Sequence[str | Path], **streams: Any) -> None:
    """Show a command and run it; its progress bar and its summary reach this terminal."""
    show(command)
    subprocess.run(command, check=True, text=True, **streams)


def quarrow_report(*arguments: str | Path) -> dict[str, Any]:
    """Run `quarrow` without a progress bar and return its JSON report."""
    command = [*quarrow_command(), *arguments, "--json"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
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


def remove_large_files(folder: Path) -> None:
    """Remove what the demo wrote, but for what is small."""
    for name in ("flux-blocks", "flux-int8", "copy", "lora", "lora-int8"):
        path = folder / f"{name}.safetensors"
        if path.exists() and path.stat().st_size > SMALL_BYTES:
            path.unlink()


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
    # Both signals become exceptions, so that the large files are removed.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except subprocess.CalledProcessError as error:
        print(error.stderr or "", end="", file=sys.stderr)
        sys.exit(fail(f"a command ended with exit code {error.returncode}"))
