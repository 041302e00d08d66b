# SPDX-License-Identifier: Apache-2.0
"""Instruction sets as people call them.

``info()``, ``stats`` and the records of the log keep the names of Highway, whose AVX3 is AVX-512.
QUARROW_FORCE_ISA takes either.
"""


def readable_isa(name: str) -> str:
    """Return the name for a person: ``AVX-512`` for ``AVX3``."""
    return name.replace("AVX3", "AVX-512")
