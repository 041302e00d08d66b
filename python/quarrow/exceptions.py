# SPDX-License-Identifier: Apache-2.0
"""What quarrow raises.

What the operating system refuses (a missing file, a full disk) stays the plain ``OSError``.
"""


class QuarrowError(Exception):
    """The base of all errors of this package.

    Parameters
    ----------
    message : str
        What went wrong, what was received and what is accepted.
    name : str, optional
        The layer it is about.

    Attributes
    ----------
    name : str or None
        The layer it is about.
    """

    def __init__(self, message: str = "", *, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name

    def __eq__(self, other: object) -> bool:
        """Compare type, message and attributes; tracebacks and causes do not count."""
        if not isinstance(other, QuarrowError):
            return NotImplemented
        return (
            type(self) is type(other)
            and self.args == other.args
            and self.__dict__ == other.__dict__
        )

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash((type(self), self.args))


class InvalidInputError(QuarrowError, ValueError):
    """An argument that cannot be used: a tensor, ``out=``, a field's value, a shape."""


class NonFiniteError(InvalidInputError):
    """The input has NaN or Inf.

    Parameters
    ----------
    message : str
        The same in words.
    name : str, optional
        The layer.
    index : int
        Flat index of the first.
    count : int
        How many there are.
    kind : str
        What the first is: "NaN", "+Inf" or "-Inf".

    Attributes
    ----------
    index : int
        Flat index of the first.
    count : int
        How many there are.
    kind : str
        What the first is: "NaN", "+Inf" or "-Inf".
    """

    def __init__(
        self,
        message: str = "",
        *,
        name: str | None = None,
        index: int = 0,
        count: int = 0,
        kind: str = "NaN",
    ) -> None:
        super().__init__(message, name=name)
        self.index = index
        self.count = count
        self.kind = kind


class UnsupportedFormatError(QuarrowError, ValueError):
    """A format's name or one of its fields is unknown."""


class CheckpointError(QuarrowError, ValueError):
    """A file is damaged or hostile, or not what its name says.

    Parameters
    ----------
    message : str
        The same in words.
    name : str, optional
        The layer.
    file : str, optional
        The path of the file.
    position : int, optional
        Where in it, in bytes.
    rule : str, optional
        The rule of the format that it breaks, such as "overlap".

    Attributes
    ----------
    file : str or None
        The path of the file.
    position : int or None
        Where in it, in bytes.
    rule : str or None
        The rule of the format that it breaks, such as "overlap".
    """

    def __init__(
        self,
        message: str = "",
        *,
        name: str | None = None,
        file: str | None = None,
        position: int | None = None,
        rule: str | None = None,
    ) -> None:
        super().__init__(message, name=name)
        self.file = file
        self.position = position
        self.rule = rule
