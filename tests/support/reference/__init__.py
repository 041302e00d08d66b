# SPDX-License-Identifier: Apache-2.0
"""The quantization rules once more, slow and plain, to hold the engine to.

Written from the rules and sharing nothing with the kernels: groups one after the other, conversions
by arithmetic instead of bits. Slow is fine here; two ideas in one line are not.
"""

from reference.error_figures import ErrorFigures, error_figures
from reference.fields import Fields
from reference.float8 import dequantize_float8, float8_values, quantize_float8
from reference.ggml_blocks import ScaleOverflowError, dequantize_blocks, quantize_blocks
from reference.quantization import dequantize, quantize, stored_values
from reference.ranges import RangeOverflowError
from reference.stored import Stored

__all__ = [
    "ErrorFigures",
    "Fields",
    "RangeOverflowError",
    "ScaleOverflowError",
    "Stored",
    "dequantize",
    "dequantize_blocks",
    "dequantize_float8",
    "error_figures",
    "float8_values",
    "quantize",
    "quantize_blocks",
    "quantize_float8",
    "stored_values",
]
