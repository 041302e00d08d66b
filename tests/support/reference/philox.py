# SPDX-License-Identifier: Apache-2.0
"""Philox4x32-10 (Salmon et al. 2011), and the offsets of stochastic rounding made from it."""

import numpy as np
import xxhash
from numpy.typing import NDArray

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF


def philox4x32(
    counter: tuple[int, int, int, int], key: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return the four output words of one counter."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        first = MULTIPLIERS[0] * c0
        second = MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (second >> 32) ^ c1 ^ k0,
            second & LOW,
            (first >> 32) ^ c3 ^ k1,
            first & LOW,
        )
        k0 = (k0 + KEY_STEPS[0]) & LOW
        k1 = (k1 + KEY_STEPS[1]) & LOW
    return c0, c1, c2, c3


def random_key(name: str, seed: int) -> int:
    """Return the 64 bits that a layer's name and a seed make."""
    return xxhash.xxh3_64_intdigest(name.encode()) ^ seed


def uniform_offsets(key: int, first: int, count: int) -> NDArray[np.float32]:
    """Return what is added before rounding down, for `count` elements from flat index `first`."""
    words = (key & LOW, key >> 32)
    offsets = np.empty(count, np.float32)
    for i in range(count):
        index = first + i
        word = philox4x32((index & LOW, index >> 32, 0, 0), words)[0]
        offsets[i] = np.float32((word >> 8) / 2.0**24)
    return offsets
