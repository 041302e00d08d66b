# SPDX-License-Identifier: Apache-2.0
"""The example for Ray Data runs on this machine, on tables that Ray hands over."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import quarrow as qr
from workload import HANG_SECONDS

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_quantize.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE, *map(str, arguments)],
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )


def test_layers_of_a_dataset_are_quantized(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    layers = {f"l{i}": random.normal(size=(4 + i, 64)) for i in range(40)}
    table = pa.table(
        {
            "layer_name": list(layers),
            "weights": [w.ravel().tolist() for w in layers.values()],
            "shape": [w.shape for w in layers.values()],
        }
    )
    pq.write_table(table, tmp_path / "layers.parquet", row_group_size=10)
    done = run(tmp_path / "layers.parquet", tmp_path / "out", "int8")
    assert done.returncode == 0, done.stderr
    rows = {row["layer_name"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert sorted(rows) == sorted(layers)
    for name, w in layers.items():
        q = qr.quantize(w, "int8", name=name)
        assert rows[name]["codes"] == q.codes.tobytes()
        assert rows[name]["scales"] == q.scales.ravel().tolist()
        assert rows[name]["shape"] == list(w.shape)


@pytest.mark.parametrize("arguments", [(), ("one",)])
def test_wrong_use_prints_how_to_use_it(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "OUT_FOLDER" in done.stderr
