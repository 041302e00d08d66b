# SPDX-License-Identifier: Apache-2.0
"""The memory of a file job does not grow with the file, its layers or their number."""

import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import write_zeros

LIMIT_BYTES = 64 << 20
MEASURE = """
import sys
import quarrow as qr

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))

before = peak()
qr.quantize_file(sys.argv[1], sys.argv[2], "int8_rowwise", sync=False, measure_error=True)
print(peak() - before)
"""

ONE_ROW = 1 << 28
SHAPES: dict[str, dict[str, tuple[str, tuple[int, ...], int]]] = {
    "one large layer": {"a.weight": ("F32", (1 << 14, 1 << 14), 1 << 30)},
    "one long row": {"a.weight": ("F16", (1, ONE_ROW), 2 * ONE_ROW)},
    "one kept tensor": {"a": ("F16", (1 << 29,), 1 << 30)},
    "many layers": {f"blocks.{i}.weight": ("BF16", (2, 2), 8) for i in range(100_000)},
    "many kept tensors": {f"blocks.{i}.bias": ("BF16", (2,), 4) for i in range(100_000)},
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read peaks from")
@pytest.mark.parametrize("shapes", SHAPES)
def test_memory_is_bounded(shapes: str, tmp_path: Path) -> None:
    source = write_zeros(tmp_path / "in", SHAPES[shapes])
    with source.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, source, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    grown = int(result.stdout)
    print(f"{shapes}: {grown / 1e6:.1f} MB, header {header / 1e6:.1f} MB")
    assert grown <= LIMIT_BYTES + 3 * header
