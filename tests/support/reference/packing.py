# SPDX-License-Identifier: Apache-2.0
"""Codes in memory: the first code of a byte lowest, each row from a byte of its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.fields import Fields


def pack(codes: NDArray[np.int16], fields: Fields) -> NDArray[Any]:
    """Return the stored bytes [rows, bytes of a row]; unused bits are 0."""
    if fields.codes_in_a_byte == 1:
        return codes.astype(np.int8 if fields.symmetric else np.uint8)
    rows, cols = codes.shape
    stored = np.zeros((rows, -(-cols // fields.codes_in_a_byte)), np.uint8)
    unsigned = (codes & ((1 << fields.bits) - 1)).astype(np.uint8)
    for place in range(fields.codes_in_a_byte):
        part = unsigned[:, place :: fields.codes_in_a_byte]
        stored[:, : part.shape[1]] |= part << np.uint8(place * fields.bits)
    return stored


def unpack(stored: NDArray[Any], cols: int, fields: Fields) -> NDArray[np.int16]:
    """Return the codes [rows, columns] of stored bytes."""
    if fields.codes_in_a_byte == 1:
        return stored.astype(np.int16)
    codes = np.zeros((stored.shape[0], cols), np.int16)
    for place in range(fields.codes_in_a_byte):
        part = codes[:, place :: fields.codes_in_a_byte]
        part[:] = (stored[:, : part.shape[1]] >> np.uint8(place * fields.bits)) & (
            (1 << fields.bits) - 1
        )
    if fields.symmetric:
        codes[codes > fields.highest_code] -= 1 << fields.bits
    return codes
