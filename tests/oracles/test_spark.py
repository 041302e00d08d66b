# SPDX-License-Identifier: Apache-2.0
"""README's block for Spark runs on this machine as it is printed."""

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr

pytest.importorskip("pyspark", reason="no pyspark")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("no java", allow_module_level=True)

# Nothing here is of pandas.
pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")

ROOT = Path(__file__).parents[2]


def block() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```py\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (spark,) = [str(each) for each in found if "mapInArrow" in each]
    return spark


def run_block(layers: Any) -> Any:
    """Return what its last line gives."""
    names = {"__name__": "__main__", "pa": pa, "qr": qr, "layers": layers}
    module = ast.parse(block())
    last = module.body.pop()
    assert isinstance(last, ast.Expr)
    exec(compile(module, "README.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "README.md", "eval"), names)


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        spark = (
            SparkSession.builder.master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", "3")
            .getOrCreate()
        )
        yield spark
        spark.stop()


@pytest.mark.parametrize("weights", ["array<float>", "array<array<float>>"])
def test_layers_of_a_data_frame_are_quantized(session: Any, weights: str) -> None:
    random = np.random.default_rng(0)
    layers = {f"l{i}": random.normal(size=(4 + i, 64)).astype(np.float32) for i in range(8)}
    nested = weights == "array<array<float>>"
    rows = [
        (name, w.tolist() if nested else w.ravel().tolist(), None if nested else list(w.shape))
        for name, w in layers.items()
    ]
    frame = session.createDataFrame(
        rows, f"layer_name string, weights {weights}, shape array<bigint>"
    )
    made = {row["layer_name"]: row for row in run_block(frame).collect()}
    assert sorted(made) == sorted(layers)
    for name, w in layers.items():
        q = qr.quantize(w, "int4", name=name)
        assert q.zero_points is not None
        assert bytes(made[name]["codes"]) == q.codes.tobytes()
        assert made[name]["scales"] == q.scales.ravel().tolist()
        assert made[name]["zero_points"] == q.zero_points.ravel().tolist()
        assert made[name]["shape"] == list(w.shape)
        assert made[name]["format"] == "int4"


def test_a_frame_without_rows_gives_one_without_rows(session: Any) -> None:
    frame = session.createDataFrame([], "layer_name string, weights array<float>")
    assert run_block(frame).collect() == []
