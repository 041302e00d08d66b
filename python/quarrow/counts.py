# SPDX-License-Identifier: Apache-2.0
"""Numbers with the nouns that they count."""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 tensor`` or ``1,234 tensors``; the plural where it is more than an ``s``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def verb(count: int, singular: str, plural: str) -> str:
    """Return the form of a verb that goes with so many: ``is`` or ``are``."""
    return singular if count == 1 else plural
