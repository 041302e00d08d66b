# SPDX-License-Identifier: Apache-2.0
"""Quantize the layers of a dataset with Ray Data, on as many machines as Ray has.

    python examples/ray_quantize.py LAYERS.parquet OUT_FOLDER [FORMAT]

The dataset has the columns layer_name and weights (lists of floats), and perhaps shape. Ray hands
pyarrow tables to ``quarrow.quantize_pyarrow`` as it is. Needs ray and pyarrow.
"""

import sys
from typing import Any

import quarrow as qr
import ray


def quantized(layers: Any, format: str) -> Any:
    """Return a Ray dataset of quantized layers; its columns are those of ``ArrowResult``."""
    return layers.map_batches(
        qr.quantize_pyarrow, batch_format="pyarrow", fn_kwargs={"format": format}
    )


def main(arguments: list[str]) -> int:
    """Quantize a Parquet file or folder to a folder of Parquet files."""
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 1
    source, out, format = (*arguments, "int4")[:3]
    quantized(ray.data.read_parquet(source), format).write_parquet(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
