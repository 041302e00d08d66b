# SPDX-License-Identifier: Apache-2.0
"""The `quarrow` command. It needs the extra `cli` (typer, rich and jinja2)."""

import sys

__all__ = ["main"]

_EXTRA = ("typer", "rich", "jinja2", "markupsafe")


def main() -> None:
    """Run the command line on `sys.argv` and end the process with its exit code.

    0: done. 1: wrong usage, wrong input, or the operating system refused. 2: a damaged file.
    130: interrupted. 143: terminated.
    """
    try:
        from quarrow.cli.app import run  # noqa: PLC0415 (its imports are what may be missing)

        code = run()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        print(
            f"quarrow: error: the command line needs {error.name}; "
            'install it with: pip install "quarrow[cli]"',
            file=sys.stderr,
        )
        sys.exit(1)
    sys.exit(code)
