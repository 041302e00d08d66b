# SPDX-License-Identifier: Apache-2.0
"""The commands put together, and how each failure becomes one line and an exit code."""

import io
import logging
import shlex
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.exceptions import TyperException

import quarrow
from quarrow.cli.compare import compare
from quarrow.cli.convert import convert
from quarrow.cli.dequantize import dequantize
from quarrow.cli.help_page import CommandsWithColour, CommandWithGroups
from quarrow.cli.info import info
from quarrow.cli.inspect import inspect
from quarrow.cli.quantize import quantize
from quarrow.cli.terminal import abandon_output, complain, wants_colour

EXIT_FAILED = 1
EXIT_DAMAGED_FILE = 2
EXIT_NO_READER = 128 + signal.SIGPIPE  # as shells report programs that the signal ends

_HELP = """Quantize the weights of checkpoints at memory speed.

\b
Examples:
  quarrow quantize model.safetensors int4.safetensors --format int4
  quarrow inspect int4.safetensors
  quarrow quantize --help
"""

app = typer.Typer(
    name="quarrow",
    cls=CommandsWithColour,
    help=_HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(command: Callable[..., None], summary: str) -> None:
    app.command(cls=CommandWithGroups, short_help=summary)(command)


_add(quantize, "Write a quantized copy of a checkpoint.")
_add(dequantize, "Write a copy in which quantized layers are floats again.")
_add(convert, "Write a copy as another kind of file, or in another type.")
_add(inspect, "Show what a checkpoint holds.")
_add(compare, "Show how far the tensors of two checkpoints are apart.")
_add(info, "Show the version, what this machine runs, and the formats.")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it)
    if wanted:
        print(f"quarrow {quarrow.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    pass


class _WarningLines(logging.Handler):
    """Each warning once: a plan that comes before its job has the same ones."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self._told:
            self._told.add(message)
            complain("warning", message)


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` are those of the process if None."""
    if arguments is None:
        arguments = sys.argv[1:]
    logging.getLogger("quarrow").addHandler(_WarningLines())
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's encoding lacks must not end in a UnicodeEncodeError.
        sys.stdout.reconfigure(errors="backslashreplace")
    code = _run_command(arguments)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes once more at its end, and would fail again, with a traceback.
        abandon_output()
        if isinstance(error, BrokenPipeError):
            return code or EXIT_NO_READER
        complain("error", f"standard output: {error.strerror}")
        return code or EXIT_FAILED
    return code


def _run_command(arguments: list[str]) -> int:
    try:
        # Without standalone_mode=False typer would print a usage error itself and exit with 2.
        code = app(
            arguments or ["--help"],
            prog_name="quarrow",
            standalone_mode=False,
            color=wants_colour(),
            obj=shlex.join(["quarrow", *arguments]),  # what the report page says
        )
    except TyperException as error:
        complain("error", _usage_message(error))
    except quarrow.CheckpointError as error:
        complain("error", str(error))
        return EXIT_DAMAGED_FILE
    except quarrow.QuarrowError as error:
        complain("error", str(error))
    except OSError as error:
        complain("error", _os_message(error))
    except MemoryError:
        complain("error", "out of memory")
    except SystemExit as ended:
        # typer ends so when it has printed a completion script, and where a pipe has no reader.
        if isinstance(ended.__context__, BrokenPipeError):
            return EXIT_NO_READER
        return ended.code if isinstance(ended.code, int) else EXIT_FAILED if ended.code else 0
    else:
        return code or 0
    return EXIT_FAILED


def _usage_message(error: TyperException) -> str:
    message = error.format_message().removesuffix(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "quarrow"
    return f"{message} (see '{command} --help')"


def _os_message(error: OSError) -> str:
    reason = error.strerror or str(error)
    # Files are named; what has no name is what print() writes to.
    where = "standard output" if error.filename is None else repr(error.filename)
    return f"{where}: {reason}"
