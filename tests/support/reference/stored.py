# SPDX-License-Identifier: Apache-2.0
"""What the reference makes of a tensor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.fields import Fields


@dataclass(frozen=True)
class Stored:
    fields: Fields
    shape: tuple[int, ...]
    codes: NDArray[Any]
    """uint8 or int8, packed as the fields say, [rows, bytes of a row]."""
    scales: NDArray[np.float32]
    """[rows, groups], already rounded to scale_dtype."""
    zero_points: NDArray[np.uint8] | None
