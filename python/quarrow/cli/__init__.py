# SPDX-License-Identifier: Apache-2.0
"""The `quarrow` command. It needs the extra `cli` (typer, rich and jinja2)."""

import sys

from quarrow_command import end_on_signals

from quarrow.cli.stopping import Stopped, ignore_signals, stop_on_signals
from quarrow.cli.terminal import complain

__all__ = ["main"]

_EXTRA = ("typer", "rich", "jinja2", "markupsafe")


def main() -> None:
    """Run the command line on `sys.argv` and end the process with its exit code.

    0: done. 1: wrong usage, wrong input, or the operating system refused. 2: a damaged file.
    130: interrupted. 141: nobody reads the output any more. 143: terminated.
    """
    end_on_signals()
    try:
        from quarrow.cli.app import run  # noqa: PLC0415 (its imports are what may be missing)

        stop_on_signals()
        code = run()
        # What is done stays done, and the interpreter ends without a traceback.
        ignore_signals()
    except Stopped as stopped:
        complain("error", str(stopped))
        code = stopped.exit_code
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        complain(
            "error",
            f'the command line needs {error.name}; install it with: pip install "quarrow[cli]"',
        )
        sys.exit(1)
    sys.exit(code)
