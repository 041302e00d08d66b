# SPDX-License-Identifier: Apache-2.0
"""Weight quantization at memory speed.

>>> import numpy as np, quarrow as qr
>>> q = qr.quantize(np.linspace(-1, 1, 256, dtype=np.float32).reshape(2, 128), "int4")
>>> q.codes.shape, q.scales.shape
((2, 64), (2, 1))
"""

import logging

from quarrow import _core, legacy
from quarrow._core import (
    Format,
    QuantizedTensor,
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
from quarrow.files import FileReport, LayerReport, quantize_file

__version__ = _core.version()

__all__ = [
    "CheckpointError",
    "FileReport",
    "Format",
    "InvalidInputError",
    "LayerReport",
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
    "quantize_file",
]

logging.getLogger("quarrow").addHandler(logging.NullHandler())
