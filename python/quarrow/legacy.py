# SPDX-License-Identifier: Apache-2.0
"""Lists in, lists out: kept so that old calls work, and as the measured baseline."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypedDict

import numpy as np

from quarrow import _core
from quarrow.exceptions import InvalidInputError, UnsupportedFormatError
from quarrow.safe_repr import safe_repr

__all__ = ["LegacyLayer", "quantize"]

_BIT_WIDTHS = (2, 4, 8)
_MOST_DIMENSIONS = 64


class LegacyLayer(TypedDict):
    """One quantized layer in plain Python objects."""

    codes: list[int]
    scales: list[float]
    zero_points: list[int]
    shape: list[int]
    bit_width: int


def quantize(layers: Mapping[str, Sequence[Any]], bit_width: int = 8) -> dict[str, LegacyLayer]:
    """Quantize lists of numbers, each with one scale and zero point.

    The same values as ``quarrow.quantize(np.array(values), f"int{bit_width}",
    group_size="tensor", packed=False)``. Lists cost far more than the quantization itself: numbers
    are read out of objects, and codes become objects, one by one, in about the time of
    ``np.array(values)`` and ``tolist``; lists that hold anything but float and int themselves take
    several times that. Pass arrays to ``quarrow.quantize`` wherever there are any.

    Parameters
    ----------
    layers : mapping of str to list
        Lists (or tuples) of float or int, nested to any depth as long as every level is regular.
    bit_width : int
        8, 4 or 2.

    Returns
    -------
    dict
        For each name ``codes`` (flat, in C order), ``scales``, ``zero_points``, ``shape`` and
        ``bit_width``.

    Raises
    ------
    UnsupportedFormatError
        There is no format of that width.
    NonFiniteError
        A layer has NaN or Inf.
    InvalidInputError
        A layer is empty, ragged, or has something other than numbers in it.

    Examples
    --------
    >>> import quarrow as qr
    >>> qr.legacy.quantize({"a": [0.0, 1.0, 15.0]}, bit_width=4)["a"]["codes"]
    [0, 1, 15]
    """
    with _core.CallRecord("legacy.quantize") as record:
        _check_arguments(layers, bit_width)
        return {
            name: _quantize_layer(name, values, bit_width, record)
            for name, values in layers.items()
        }


def __dir__() -> list[str]:
    return list(__all__)


def _check_arguments(layers: object, bit_width: object) -> None:
    is_number = isinstance(bit_width, int | np.integer) and not isinstance(bit_width, bool)
    if not is_number or bit_width not in _BIT_WIDTHS:
        message = f"bit_width must be 8, 4 or 2, not {safe_repr(bit_width)}"
        raise UnsupportedFormatError(message)
    if not isinstance(layers, Mapping):
        message = (
            f"layers must be a mapping of names to lists, not {type(layers).__name__}; for one "
            "array call quarrow.quantize"
        )
        raise InvalidInputError(message)
    for name in layers:
        if not isinstance(name, str):
            message = f"the name of a layer must be a str, not {safe_repr(name)}"
            raise InvalidInputError(message)


def _quantize_layer(
    name: str, values: Sequence[Any], bit_width: int, record: _core.CallRecord
) -> LegacyLayer:
    shape = _shape_of(name, values)
    # numpy would take True for 1 and "1" for 1.0.
    numbers = _core.list_numbers(values, shape)
    if numbers is None:
        array = np.array(_flat(name, values, shape), dtype=np.float64)
    else:
        array = numbers.view(np.float64)
    record.copied(array.nbytes)
    q = _core.quantize(array, f"int{bit_width}", name=name, group_size="tensor", packed=False)
    zero_points = q.zero_points
    return {
        "codes": q.codes.ravel().tolist(),
        "scales": q.scales.ravel().tolist(),
        "zero_points": [] if zero_points is None else zero_points.ravel().tolist(),
        "shape": shape,
        "bit_width": bit_width,
    }


def _reject(name: str, message: str) -> NoReturn:
    text = f"layer {name!r}: {message}"
    raise InvalidInputError(text, name=name)


def _shape_of(name: str, values: object) -> list[int]:
    """Follow the first element of every level."""
    if not isinstance(values, list | tuple):
        _reject(name, f"got {type(values).__name__}; pass a list of numbers")
    shape: list[int] = []
    while isinstance(values, list | tuple):
        if not values:
            _reject(name, "got an empty list; pass at least one number")
        if len(shape) == _MOST_DIMENSIONS:
            _reject(name, f"the lists are nested more than {_MOST_DIMENSIONS} deep")
        shape.append(len(values))
        values = values[0]
    return shape


def _flat(name: str, values: Sequence[Any], shape: list[int]) -> list[float]:
    """Read what is no plain list of float and int, or say what is wrong with it."""
    level: list[Any] = [values]
    for size in shape:
        for each in level:
            if not isinstance(each, list | tuple) or len(each) != size:
                _reject(name, f"the lists are ragged: expected the shape {tuple(shape)}")
        level = [item for each in level for item in each]
    for item in level:
        if isinstance(item, bool) or not isinstance(item, float | int):
            what = "the lists are ragged" if isinstance(item, list | tuple) else "got"
            _reject(
                name,
                f"{what}: {safe_repr(item)} of type {type(item).__name__} where a number belongs",
            )
    try:
        return [float(item) for item in level]
    except OverflowError:
        _reject(name, "an int is beyond what a float can hold")
