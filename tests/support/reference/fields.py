# SPDX-License-Identifier: Apache-2.0
"""A format and its fields, with the documented defaults."""

from dataclasses import dataclass

BITS = {"int8": 8, "int4": 4, "int2": 2, "int8_rowwise": 8}


@dataclass(frozen=True)
class Fields:
    format: str
    group_size: int | str
    symmetric: bool
    scale_dtype: str
    packed: bool
    rounding: str
    seed: int

    @property
    def bits(self) -> int:
        return BITS[self.format]

    @property
    def lowest_code(self) -> int:
        return -(1 << (self.bits - 1)) if self.symmetric else 0

    @property
    def highest_code(self) -> int:
        return self.lowest_code + (1 << self.bits) - 1

    @property
    def codes_in_a_byte(self) -> int:
        return 8 // self.bits if self.packed else 1

    @staticmethod
    def of(
        format: str,
        *,
        group_size: int | str | None = None,
        symmetric: bool | None = None,
        scale_dtype: str | None = None,
        packed: bool = True,
        rounding: str = "nearest",
        seed: int = 0,
    ) -> "Fields":
        if group_size is None:
            group_size = "row" if BITS[format] == 8 else 128
        if symmetric is None:
            symmetric = format == "int8_rowwise"
        return Fields(
            format, group_size, symmetric, scale_dtype or "float32", packed, rounding, seed
        )
