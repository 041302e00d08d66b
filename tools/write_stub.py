#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the stub of the compiled module: tools/write_stub.py OUTPUT.

nanobind's generator knows its own functions alone. The module puts others in their places
(bindings/python_function.h, python_attribute.h), which are taken off again here.
"""

import sys
from pathlib import Path
from typing import Any

from nanobind.stubgen import StubGen
from quarrow import _core
from quarrow.signatures import own_signatures


class Generator(StubGen):  # type: ignore[misc]
    """The generator of nanobind, for functions that hold one of nanobind."""

    def put(self, value: Any, name: str | None = None, parent: object = None) -> None:
        """Append a member of the module."""
        value = getattr(value, "__nb_property__", value)
        super().put(getattr(value, "__nb_function__", value), name, parent)

    def put_nb_func(self, fn: Any, name: str | None = None, is_classmethod: bool = False) -> None:  # noqa: FBT001 (nanobind's own)
        """Append a function, without what only words its refusal of other arguments."""
        ways = own_signatures(fn)
        if len(ways) == len(fn.__nb_signature__):
            super().put_nb_func(fn, name, is_classmethod)
        else:
            (way,) = ways
            self.put_nb_overload(fn, way, name)


def main(arguments: list[str]) -> None:
    """Write the stub into the file that is named."""
    generator = Generator(_core, quiet=True)
    generator.put(_core)
    Path(arguments[0]).write_text(generator.get(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
