# SPDX-License-Identifier: Apache-2.0
"""Compare results with the slow plain reference of the tests, so that nothing wrong is timed."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr
from numpy.typing import NDArray

from benchmarks.harness.case import WrongResultError

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
import reference

_ROWS = 8
_GROUPS = 64


def require(condition: object, what: str) -> None:
    if not condition:
        raise WrongResultError(what)


def _fields(format_: qr.Format) -> reference.Fields:
    return reference.Fields.of(
        format_.name,
        group_size=format_.group_size,
        symmetric=format_.symmetric,
        scale_dtype=format_.scale_dtype,
        packed=bool(format_.packed),
    )


def check_quantized(q: qr.QuantizedTensor, w: NDArray[Any]) -> None:
    """Compare the first and the last rows of a quantized matrix, byte for byte.

    One row of whole groups is looked at as rows of at most 64 groups. One scale for a whole tensor
    follows from its smallest and largest value: the reference gets the same rows and these two.
    """
    require(q.shape == w.shape, f"the shape is {q.shape} instead of {w.shape}")
    fields = _fields(q.format)
    one_scale = fields.group_size == "tensor"
    matrix = w.reshape(len(w), -1) if w.ndim > 1 else w.reshape(1, -1)
    if len(matrix) == 1 and isinstance(fields.group_size, int):
        groups, rest = divmod(w.size, fields.group_size)
        together = math.gcd(groups, _GROUPS) * fields.group_size
        matrix = matrix if rest else matrix.reshape(-1, together)
    chosen = np.unique(np.arange(-_ROWS, _ROWS) % len(matrix))
    rows = matrix[chosen]
    codes = q.codes.reshape(len(matrix), -1)[chosen]
    if one_scale:
        given = np.concatenate([rows.ravel(), [w.min(), w.max()]]).astype(w.dtype)
        expected = reference.quantize(given.reshape(1, -1), fields)
        wanted = expected.codes.ravel()[: codes.size].reshape(codes.shape)
    else:
        expected = reference.quantize(rows, fields)
        wanted = expected.codes
    require(np.array_equal(codes, wanted), f"{q.format.name}: codes differ from the reference")

    for part in ("scales", "zero_points"):
        given, wanted = getattr(q, part), getattr(expected, part)
        words = f"{q.format.name}: {part.replace('_', ' ')}"
        require((given is None) == (wanted is None), f"{words} where there should be none, or none")
        if wanted is not None:
            given = given if one_scale else given.reshape(len(matrix), -1)[chosen]
            same = np.array_equal(given.ravel(), wanted.ravel())
            require(same, f"{words} differ from the reference")


def _same(one: Any, other: Any) -> bool:
    return one is other or np.array_equal(one, other)


def check_layers(result: Any, layers: Mapping[str, NDArray[Any]]) -> None:
    """Compare every layer with a call of its own, the first and the last with the reference."""
    require(len(result) == len(layers), f"{len(result)} layers instead of {len(layers)}")
    for name, w in layers.items():
        q, alone = result[name], qr.quantize(w, result[name].format)
        for part in ("codes", "scales", "zero_points"):
            same = _same(getattr(q, part), getattr(alone, part))
            require(same, f"{name}: {part} differ from those of a call of its own")
    for name in (next(iter(layers)), next(reversed(list(layers)))):
        check_quantized(result[name], layers[name])


def check_lists(result: Mapping[str, Any], layers: Mapping[str, NDArray[Any]]) -> None:
    """Compare what the list call returned with the numpy call, byte for byte."""
    require(len(result) == len(layers), f"{len(result)} layers instead of {len(layers)}")
    for name, w in layers.items():
        width = result[name]["bit_width"]
        q = qr.quantize(w, f"int{width}", group_size="tensor", packed=False)
        same = np.array_equal(np.array(result[name]["codes"], np.uint8), q.codes.ravel())
        require(same, f"{name}: lists and arrays gave different codes")
        require(result[name]["scales"] == q.scales.ravel().tolist(), f"{name}: scales differ")
