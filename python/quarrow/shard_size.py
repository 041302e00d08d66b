# SPDX-License-Identifier: Apache-2.0
"""The size of the files of a checkpoint, as a caller says it."""

import re
from decimal import Decimal

from quarrow.exceptions import InvalidInputError
from quarrow.safe_repr import safe_repr

_SHARD_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)B?")
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MAX_SHARD_BYTES = 2**63 - 1


def shard_bytes(size: int | str | None) -> int:
    """Return the bytes of a number or a text like "5GB"; 0 for None. Raise InvalidInputError."""
    if size is None:
        return 0
    value = 0
    if isinstance(size, str) and (match := _SHARD_SIZE.fullmatch(size.strip())):
        value = int(Decimal(match[1]) * _UNITS[match[2]])
    elif isinstance(size, int) and not isinstance(size, bool):
        value = size
    if not 0 < value <= _MAX_SHARD_BYTES:
        wanted = "a number of bytes from 1 or a text like '5GB'"
        msg = f"max_shard_size must be {wanted}, not {safe_repr(size)}"
        raise InvalidInputError(msg)
    return value
