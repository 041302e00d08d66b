# SPDX-License-Identifier: Apache-2.0
"""From file to file: quarrow beside a plain program, and beside torch's ways to the same file.

``python -m benchmarks.files`` writes a FLUX ControlNet (1.1 GB, bfloat16) and makes int8 of it, one
scale a row. Every job is a process of its own that prints the seconds of its work, imports left
out; all run in rounds of random order. Where torch is not installed its ways are left out, and
said to be.
"""

import argparse
import importlib.util
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "tests" / "support" / "manifests" / "flux_controlnet_small.json"

START = """
import sys, time
source, out = sys.argv[1:3]
"""
STOP = """
print("seconds", time.perf_counter() - started)
"""

QUARROW = (
    START
    + """
import quarrow
started = time.perf_counter()
quarrow.{call}
"""
    + STOP
)

# Reads the input and writes as many bytes as the output has.
PLAIN = (
    START
    + """
import os
size = int(sys.argv[3])
buffer = bytearray(8 << 20)
started = time.perf_counter()
with open(source, "rb", buffering=0) as file:
    while file.readinto(buffer):
        pass
with open(out, "wb", buffering=0) as file:
    left = size
    while left:
        left -= file.write(memoryview(buffer)[: min(left, len(buffer))])
    if {sync}:
        os.fsync(file.fileno())
"""
    + STOP
)

TORCH = (
    START
    + """
import torch
from safetensors.torch import load_file, save_file
{imports}
def quantize(w):
{quantize}
started = time.perf_counter()
tensors = {{}}
for name, w in load_file(source).items():
    if w.ndim == 2 and name.endswith(".weight"):
        tensors[name], tensors[name + "_scale"] = quantize(w)
    else:
        tensors[name] = w
save_file(tensors, out)
"""
    + STOP
)

COMFY = TORCH.format(
    imports="import comfy_kitchen",
    quantize="    return comfy_kitchen.quantize_int8_rowwise(w)",
)
EAGER = TORCH.format(
    imports="",
    quantize="""    x = w.float()
    scale = (x.abs().amax(dim=1, keepdim=True) / 127).clamp(min=1e-30)
    return (x / scale).round().clamp(-127, 127).to(torch.int8), scale""",
)
TORCHAO = (
    START
    + """
import torch
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from safetensors.torch import load_file
started = time.perf_counter()
tensors = {}
for name, w in load_file(source).items():
    if w.ndim == 2 and name.endswith(".weight"):
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False, device="meta")
        linear.weight = torch.nn.Parameter(w)
        quantize_(linear, Int8WeightOnlyConfig())
        w = linear.weight
    tensors[name] = w
torch.save(tensors, out)
"""
    + STOP
)
CONVERT_TO_QUANT = (
    START
    + """
import contextlib, io
from convert_to_quant.convert_to_quant import main
sys.argv = ["ctq", "-i", source, "-o", out, "--int8", "--simple", "--comfy_quant"]
sys.argv += ["--scaling_mode", "row"]
started = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    main()
"""
    + STOP
)


def jobs(out_bytes: int) -> dict[str, list[str]]:
    """Return the programs and what they get beside their two files."""
    call = 'quantize_file(source, out, "int8_rowwise", sync={sync}, io="{io}")'
    found = {
        "quarrow, synced": [QUARROW.format(call=call.format(sync=True, io="read"))],
        "plain, synced": [PLAIN.format(sync=True), str(out_bytes)],
        "quarrow": [QUARROW.format(call=call.format(sync=False, io="read"))],
        "quarrow, mapped": [QUARROW.format(call=call.format(sync=False, io="mmap"))],
        "plain": [PLAIN.format(sync=False), str(out_bytes)],
    }
    peers = {
        "comfy_kitchen": COMFY,
        "torch": EAGER,
        "torchao": TORCHAO,
        "convert_to_quant": CONVERT_TO_QUANT,
    }
    for module, program in peers.items():
        if importlib.util.find_spec(module) is None:
            print(f"{module} is not installed (requirements/oracles.txt): left out")
        else:
            found[module] = [program]
    return found


def seconds_of(program: list[str], source: Path, out: Path) -> float:
    """Run one job in a fresh process."""
    out.unlink(missing_ok=True)
    code, *rest = program
    result = subprocess.run(
        [sys.executable, "-c", code, source, out, *rest],
        check=True,
        capture_output=True,
        text=True,
    )
    (line,) = [each for each in result.stdout.splitlines() if each.startswith("seconds ")]
    return float(line.split()[1])


def main() -> int:
    """Measure and print; the ratios are medians of the ratios of one round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write 3 GB; default: a temporary one")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        measure(folder, options.rounds)
    finally:
        shutil.rmtree(folder)
    return 0


def measure(folder: Path, rounds: int) -> None:
    """Print one line for each job."""
    source, out = folder / "in.safetensors", folder / "out.safetensors"
    maker = ROOT / "tests" / "support" / "make_checkpoint.py"
    subprocess.run([sys.executable, maker, MANIFEST, source, "--blocks", "1"], check=True)
    import quarrow  # noqa: PLC0415 (the jobs import it themselves)

    report = quarrow.quantize_file(source, out, "int8_rowwise", sync=True)
    programs = jobs(report.bytes_out)
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name in random.sample(sorted(programs), len(programs)):
            times[name].append(seconds_of(programs[name], source, out))
    print(f"{'job':<20}{'seconds':>9}{'of plain':>10}{'of quarrow':>12}")
    for name, seconds in times.items():
        base = times["plain, synced" if "synced" in name else "plain"]
        ours = times["quarrow, synced" if "synced" in name else "quarrow"]
        of_base = statistics.median(a / b for a, b in zip(seconds, base, strict=True))
        of_ours = statistics.median(a / b for a, b in zip(seconds, ours, strict=True))
        print(f"{name:<20}{statistics.median(seconds):>9.2f}{of_base:>10.2f}{of_ours:>12.2f}")


if __name__ == "__main__":
    sys.exit(main())
