# SPDX-License-Identifier: Apache-2.0
"""What was asked to be on the disk is synced: every file, and then the folder; else nothing is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.__main__ import INJECTOR

pytestmark = pytest.mark.skipif(
    not INJECTOR.is_file(), reason="the injector is not built (tools/setup cpp-tests; Linux alone)"
)

# Prints how often each job calls fsync. The first one of all makes imports come early.
COUNT = """
import ctypes, json, os
import numpy as np
import quarrow as qr
from quarrow.cli.app import run
from safetensors.numpy import save_file

injector = ctypes.CDLL(os.environ["LD_PRELOAD"])
save_file({f"{name}.weight": np.ones((64, 512), "f") for name in "abc"}, "in.safetensors")
qr.quantize_file("in.safetensors", "q.safetensors", "int8_rowwise")

def command(*words):
    assert run([*words, "--force"]) == 0

def jobs(sync):
    given, shards = {"sync": sync}, {"sync": sync, "max_shard_size": 40_000}
    word = "--sync" if sync else "--no-sync"
    yield "quantize_file", lambda: qr.quantize_file("in.safetensors", "o", "int8_rowwise", **given)
    yield "shards", lambda: qr.quantize_file("in.safetensors", "s", "int8_rowwise", **shards)
    yield "dequantize_file", lambda: qr.dequantize_file("q.safetensors", "o", **given)
    yield "quantize", lambda: command("quantize", "in.safetensors", "c", "-f", "int8_rowwise", word)
    yield "dequantize", lambda: command("dequantize", "q.safetensors", "c", word)

counts = {}
for sync in (True, False):
    for name, job in jobs(sync):
        injector.quarrow_fault_arm(b"", 0, 0, 0)
        job()
        injector.quarrow_fault_disarm()
        counts[f"{name} {sync}"] = injector.quarrow_fault_counted(b"fsync")
print(json.dumps(counts))
"""


def test_every_entry_point_syncs_when_it_is_asked_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        cwd=tmp_path,
        env={**os.environ, "LD_PRELOAD": str(INJECTOR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    names = ("quantize_file", "shards", "dequantize_file", "quantize", "dequantize")
    assert set(counts) == {f"{name} {sync}" for name in names for sync in (True, False)}
    for name in names:
        files = 4 if name == "shards" else 1  # with their index
        assert counts[f"{name} True"] >= files + 1, counts
        assert counts[f"{name} False"] == 0, counts
