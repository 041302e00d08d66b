# SPDX-License-Identifier: Apache-2.0
"""The error of an array that cannot be used."""

from typing import NoReturn

from quarrow.exceptions import InvalidInputError


class Rejection:
    """Makes the errors of one input.

    Parameters
    ----------
    name : str or None
        The layer.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name

    def __call__(self, message: str) -> NoReturn:
        """Raise InvalidInputError with the layer's name before the message."""
        prefix = "" if self._name is None else f"layer {self._name!r}: "
        raise InvalidInputError(prefix + message, name=self._name)
