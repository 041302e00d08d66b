# SPDX-License-Identifier: Apache-2.0
"""Weight quantization at memory speed.

>>> import numpy as np, quarrow as qr
>>> q = qr.quantize(np.linspace(-1, 1, 256, dtype=np.float32).reshape(2, 128), "int4")
>>> q.codes.shape, q.scales.shape
((2, 64), (2, 1))
"""

import logging

from quarrow import legacy
from quarrow._core import (
    Format,
    QuantizedTensor,
    __version__,
    dequantize,
    formats,
    info,
    quantize,
)
from quarrow.exceptions import (
    CheckpointError,
    InvalidInputError,
    NonFiniteError,
    QuarrowError,
    UnsupportedFormatError,
)

__all__ = [
    "CheckpointError",
    "Format",
    "InvalidInputError",
    "NonFiniteError",
    "QuantizedTensor",
    "QuarrowError",
    "UnsupportedFormatError",
    "__version__",
    "dequantize",
    "formats",
    "info",
    "legacy",
    "quantize",
]

logging.getLogger("quarrow").addHandler(logging.NullHandler())
