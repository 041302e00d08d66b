# SPDX-License-Identifier: Apache-2.0
"""`quarrow quantize`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import quarrow
from quarrow.cli.completion import complete_format, complete_rule
from quarrow.cli.output_files import check_text_file, refuse_existing, write_text
from quarrow.cli.progress import file_progress
from quarrow.cli.quantize_summary import print_summary
from quarrow.cli.rules import choose_rules


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
            autocompletion=complete_format,
        ),
    ],
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX",
            help="Quantize only layers whose name the expression finds, be it a norm or an "
            "embedding, and those with a --rule. May be repeated.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX",
            help="Leave the layers whose name the expression finds. May be repeated.",
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX=FORMAT",
            help="Format of the layers whose name the expression finds, or 'none' to leave them. "
            "May be repeated; the first that matches counts.",
            autocompletion=complete_rule,
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
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page with the sizes, each layer's error (which is measured for it), and "
            "what was left alone and why.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and the final size; write no OUT.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT and the report if they exist.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON instead of a summary.")
    ] = False,
) -> None:
    """Write a quantized copy of a checkpoint.

    OUT appears only when it is complete: an error or a signal leaves the old file, or none.

    \b
    Examples:
      quarrow quantize model.safetensors comfy.safetensors -f int8_rowwise
      quarrow quantize model.safetensors int4.safetensors -f int4 --dry-run
      quarrow quantize model.safetensors attn.safetensors -f int8 --include attn
      quarrow quantize model.safetensors new.safetensors -f int8 --exclude '^out'
      quarrow quantize model.safetensors new.safetensors -f int8 --rule proj=int4
      quarrow quantize model.safetensors new.safetensors -f int8 --report new.html
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    if dry_run and error:
        msg = "--error needs the values, and --dry-run reads the header alone"
        raise typer.BadParameter(msg)
    rules = choose_rules(format_name, include=include or [], exclude=exclude or [], rule=rule or [])
    out = Path(destination)
    page = None if report is None else Path(report)
    if not (force or dry_run):
        _refuse_other(Path(source), out)
    if page is not None:
        # What is missing shows before the job, not after it.
        from quarrow.cli.report_page import render  # noqa: PLC0415 (only here is jinja2 needed)

        check_text_file(page, force=force, beside=(Path(source), out))
    with file_progress() as progress:
        done = quarrow.quantize_file(
            source,
            destination,
            format_name,
            rules=rules,
            progress=progress,
            nonfinite=nonfinite.value,
            threads=threads,
            sync=sync,
            measure_error=error or (page is not None and not dry_run),
            dry_run=dry_run,
        )
    if page is not None:
        write_text(page, render(done))
    if as_json:
        print(json.dumps(done.to_dict(), indent=2))
    else:
        print_summary(done)


def _refuse_other(source: Path, destination: Path) -> None:
    # A folder or the input itself is refused by the job, with --force too.
    if destination.is_dir():
        return
    if destination.exists() and source.exists() and destination.samefile(source):
        return
    refuse_existing(destination)
