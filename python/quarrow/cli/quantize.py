# SPDX-License-Identifier: Apache-2.0
"""`quarrow quantize`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import quarrow
from quarrow.cli.progress import file_progress
from quarrow.cli.quantize_summary import print_summary
from quarrow.cli.rules import parse_rules


class NonFinite(StrEnum):
    """What to do with NaN and Inf."""

    RAISE = "raise"
    SATURATE = "saturate"


def quantize(
    # Not Path, which would drop the slash that says "a folder".
    source: Annotated[str, typer.Argument(metavar="IN", help="A .safetensors file.")],
    destination: Annotated[str, typer.Argument(metavar="OUT", help="The file to write.")],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="int8_rowwise, as ComfyUI reads it; int8, int4 or int2, as compressed-tensors "
            "reads them.",
        ),
    ],
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX=FORMAT",
            help="Format of the layers whose name the expression finds, or 'none' to leave them. "
            "May be repeated; the first that matches counts.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="At most so many threads.",
            show_default="the CPUs this process may use",
        ),
    ] = None,
    nonfinite: Annotated[
        NonFinite,
        typer.Option(help="Stop at NaN or Inf, or give Inf the last code and NaN the code of 0."),
    ] = NonFinite.RAISE,
    sync: Annotated[
        bool,
        typer.Option("--sync/--no-sync", help="Whether to wait until OUT is on the disk."),
    ] = True,
    error: Annotated[
        bool, typer.Option("--error", help="Measure each layer's error; show the worst.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON instead of a summary.")
    ] = False,
) -> None:
    """Write a quantized copy of a checkpoint.

    OUT appears only when it is complete: an error or a signal leaves the old file, or none.

    \b
    Example:
      quarrow quantize model.safetensors int8.safetensors --format int8_rowwise
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    rules = parse_rules(rule or [])
    if not force:
        _refuse_existing(Path(source), Path(destination))
    with file_progress() as progress:
        report = quarrow.quantize_file(
            source,
            destination,
            format_name,
            rules=rules,
            progress=progress,
            nonfinite=nonfinite.value,
            threads=threads,
            sync=sync,
            measure_error=error,
        )
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        print_summary(report)


def _refuse_existing(source: Path, destination: Path) -> None:
    # A folder or the input itself is refused by the job, with --force too.
    present = destination.is_symlink() or destination.exists()
    if not present or destination.is_dir():
        return
    if destination.exists() and source.exists() and destination.samefile(source):
        return
    msg = f"'{destination}' exists; --force replaces it"
    raise quarrow.InvalidInputError(msg)
