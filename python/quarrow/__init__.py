# SPDX-License-Identifier: Apache-2.0
"""Weight quantization at memory speed.

>>> import numpy as np, quarrow as qr
>>> q = qr.quantize(np.linspace(-1, 1, 256, dtype=np.float32).reshape(2, 128), "int4")
>>> q.codes.shape, q.scales.shape
((2, 64), (2, 1))
"""

from quarrow import _core, call_log, legacy
from quarrow._core import (
    BatchResult,
    Format,
    QuantizedTensor,
    dequantize,
    dequantize_batch,
    formats,
    info,
    metrics,
    quantize,
    quantize_batch,
    reset_metrics,
)
from quarrow.arrow import ArrowBatch, ArrowResult, ArrowStream, quantize_arrow, quantize_pyarrow
from quarrow.arrow_restore import dequantize_arrow
from quarrow.checkpoint import Checkpoint, CheckpointTensor, TensorInfo, open
from quarrow.exceptions import (
    CheckpointError,
    InvalidInputError,
    NonFiniteError,
    QuarrowError,
    UnsupportedFormatError,
)
from quarrow.file_report import FileReport, LayerReport
from quarrow.files import quantize_file
from quarrow.float_files import convert_file, dequantize_file
from quarrow.saving import save
from quarrow.state_dict import StateDict, dequantize_state_dict, quantize_state_dict

__version__ = _core.version()

__all__ = [
    "ArrowBatch",
    "ArrowResult",
    "ArrowStream",
    "BatchResult",
    "Checkpoint",
    "CheckpointError",
    "CheckpointTensor",
    "FileReport",
    "Format",
    "InvalidInputError",
    "LayerReport",
    "NonFiniteError",
    "QuantizedTensor",
    "QuarrowError",
    "StateDict",
    "TensorInfo",
    "UnsupportedFormatError",
    "__version__",
    "convert_file",
    "dequantize",
    "dequantize_arrow",
    "dequantize_batch",
    "dequantize_file",
    "dequantize_state_dict",
    "formats",
    "info",
    "legacy",
    "metrics",
    "open",
    "quantize",
    "quantize_arrow",
    "quantize_batch",
    "quantize_file",
    "quantize_pyarrow",
    "quantize_state_dict",
    "reset_metrics",
    "save",
]

call_log.stay_silent()


def __dir__() -> list[str]:
    """Return what is public, and no module that another one needs."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
