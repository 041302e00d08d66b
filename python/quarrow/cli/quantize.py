# SPDX-License-Identifier: Apache-2.0
"""`quarrow quantize`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import quarrow
from quarrow.cli.progress import file_progress
from quarrow.cli.quantize_summary import print_summary
from quarrow.cli.rules import parse_rules


class NonFinite(StrEnum):
    """What to do with NaN and Inf."""

    RAISE = "raise"
    SATURATE = "saturate"


class ScaleDType(StrEnum):
    """The element type of scales."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


def quantize(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .safetensors file.")],
    destination: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    format_name: Annotated[
        str,
        typer.Option("--format", "-f", metavar="FORMAT", help="See 'quarrow info'."),
    ],
    group_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|row|tensor", help="Columns that share a scale.", show_default=False
        ),
    ] = None,
    symmetric: Annotated[
        bool | None,
        typer.Option(
            "--symmetric/--asymmetric", help="Without or with zero points.", show_default=False
        ),
    ] = None,
    scale_dtype: Annotated[
        ScaleDType | None, typer.Option(help="Element type of the scales.", show_default=False)
    ] = None,
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
            min=1, metavar="N", help="Threads.", show_default="the CPUs this process may use"
        ),
    ] = None,
    nonfinite: Annotated[
        NonFinite,
        typer.Option(help="Stop at NaN or Inf, or give them the code of 0 or of the range's end."),
    ] = NonFinite.RAISE,
    sync: Annotated[
        bool,
        typer.Option("--sync/--no-sync", help="Wait until the file is on the disk, or do not."),
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
    fields = _format_fields(group_size=group_size, symmetric=symmetric, scale_dtype=scale_dtype)
    if not force:
        _refuse_existing(source, destination)
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
            **fields,
        )
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        print_summary(report)


def _format_fields(
    *, group_size: str | None, symmetric: bool | None, scale_dtype: ScaleDType | None
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if group_size is not None:
        fields["group_size"] = int(group_size) if group_size.isdecimal() else group_size
    if symmetric is not None:
        fields["symmetric"] = symmetric
    if scale_dtype is not None:
        fields["scale_dtype"] = scale_dtype.value
    return fields


def _refuse_existing(source: Path, destination: Path) -> None:
    # A folder or the input itself is refused by the job, with --force too.
    present = destination.is_symlink() or destination.exists()
    if not present or destination.is_dir():
        return
    if destination.exists() and source.exists() and destination.samefile(source):
        return
    msg = f"'{destination}' exists; --force replaces it"
    raise quarrow.InvalidInputError(msg)
