# SPDX-License-Identifier: Apache-2.0
"""The smoke test of a wheel: numpy and pytest are all it needs."""

import subprocess
import sys

import numpy as np
import quarrow as qr


def test_round_trip() -> None:
    w = np.linspace(-1, 1, 512, dtype=np.float32).reshape(4, 128)
    for each in qr.formats():
        q = qr.quantize(w, each.name)
        of_floats = "scaled" in each.fields
        assert np.abs(q.dequantize() - w).max() < (1 / 8 if of_floats else 2 / (2**each.bits - 1))


def test_every_public_name_exists() -> None:
    for name in qr.__all__:
        assert getattr(qr, name) is not None


def test_importing_it_loads_numpy_and_nothing_else() -> None:
    code = """
import sys
import numpy
before = {name.partition(".")[0] for name in sys.modules}
import quarrow
quarrow.quantize(numpy.ones(8, "f"), "int4").codes
after = {name.partition(".")[0] for name in sys.modules}
print(sorted(name for name in after - before if name not in sys.stdlib_module_names))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['quarrow']"
