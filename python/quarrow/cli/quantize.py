# SPDX-License-Identifier: Apache-2.0
"""`quarrow quantize`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import quarrow
from quarrow.cli import file_options
from quarrow.cli.completion import complete_format, complete_rule
from quarrow.cli.file_options import FORMAT, LAYERS, RESULT, VALUES, FloatType, Io
from quarrow.cli.format_options import with_format_fields
from quarrow.cli.output_files import check_text_file, write_text
from quarrow.cli.progress import file_progress
from quarrow.cli.rules import choose_rules
from quarrow.cli.summary import print_summary


class NonFinite(StrEnum):
    """What to do with NaN and Inf."""

    RAISE = "raise"
    SATURATE = "saturate"


class Runtime(StrEnum):
    """Whose loader decides what is quantized."""

    COMFYUI = "comfyui"
    NONE = "none"


class OnError(StrEnum):
    """What to do with a layer that cannot be quantized."""

    RAISE = "raise"
    SKIP = "skip"


@with_format_fields
def quantize(
    context: typer.Context,
    source: file_options.Source,
    destination: file_options.Destination,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="int8_rowwise, fp8_e4m3 or fp8_e5m2, as ComfyUI (0.27 and newer) reads them in "
            "diffusion models under their original names and in large text encoders; int8, int4 "
            "or int2, as compressed-tensors reads them; q8_0, q5_1, q5_0, q4_1 or q4_0, for an "
            "OUT that ends in .gguf.",
            autocompletion=complete_format,
            rich_help_panel=FORMAT,
        ),
    ],
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX",
            help="Quantize only layers whose name the expression finds, be it a norm or an "
            "embedding, and those with a --rule. May be repeated.",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX",
            help="Leave the layers whose name the expression finds. May be repeated.",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX=FORMAT",
            help="Format of the layers whose name the expression finds, or 'none' to leave them. "
            "May be repeated; the first that matches counts.",
            autocompletion=complete_rule,
            rich_help_panel=LAYERS,
        ),
    ] = None,
    runtime: Annotated[
        Runtime | None,
        typer.Option(
            help="Whose loader decides what is quantized: what ComfyUI would misread stays, and a "
            "file of which it would load nothing quantized is refused; 'none' holds nothing back, "
            "for a loader of your own.",
            show_default="comfyui for the formats that it reads, none for the others",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    dtype: Annotated[
        FloatType | None,
        typer.Option(
            help="For the float tensors that are not quantized.",
            show_default="as in IN",
            rich_help_panel=VALUES,
        ),
    ] = None,
    nonfinite: Annotated[
        NonFinite,
        typer.Option(
            help="Stop at NaN or Inf, or give Inf the last code and NaN the code of 0.",
            rich_help_panel=VALUES,
        ),
    ] = NonFinite.RAISE,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="Stop at a layer that cannot be quantized, or leave it.", rich_help_panel=VALUES
        ),
    ] = OnError.RAISE,
    error: Annotated[
        bool,
        typer.Option(
            "--error", help="Measure each layer's error; show the worst.", rich_help_panel=RESULT
        ),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.html",
            help="Write a page with the sizes, each layer's error (which is measured for it), and "
            "what was left alone and why.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    as_json: file_options.AsJson = False,
    dry_run: file_options.DryRun = False,
    force: file_options.Force = False,
    max_shard_size: file_options.MaxShardSize = None,
    sync: file_options.Sync = True,
    threads: file_options.Threads = None,
    io: file_options.IoOption = Io.READ,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Write a quantized copy of a checkpoint.

    OUT appears only when it is complete: an error or a signal leaves the old
    file, or none. Norms, embeddings, the edges of a model (input, output, time
    and conditions) and tensors under 1,024 elements stay as they are unless
    --include or --rule finds them.

    \b
    Examples:
      quarrow quantize model.safetensors comfy.safetensors -f int8_rowwise
      quarrow quantize model.safetensors int4.safetensors -f int4 --dry-run
      quarrow quantize model.safetensors attn.safetensors -f int8 --include attn
      quarrow quantize model.safetensors new.safetensors -f int8 --exclude '^out'
      quarrow quantize model.safetensors new.safetensors -f int8 --rule proj=int4
      quarrow quantize model.safetensors new.safetensors -f int8 --report new.html
      quarrow quantize model.safetensors new.safetensors -f int4 --group-size 64
      quarrow quantize model.safetensors parts -f int8 --max-shard-size 5GB
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    if dry_run and error:
        msg = "--error needs the values, and --dry-run reads the header alone"
        raise typer.BadParameter(msg)
    chosen = quarrow.Format(format_name, **(fields or {}))
    rules = choose_rules(chosen, include=include or [], exclude=exclude or [], rule=rule or [])
    page = None if report is None else Path(report)
    job = partial(
        quarrow.quantize_file,
        source,
        destination,
        chosen,
        rules=rules,
        dtype=dtype,
        nonfinite=nonfinite.value,
        io=io.value,
        max_shard_size=file_options.shard_bytes(max_shard_size),
        runtime=None if runtime is None else runtime.value,
    )
    # What the runtime would load nothing of is told before the work.
    plan = job(dry_run=True)
    if plan.refusal is not None:
        if as_json:
            print(json.dumps(plan.to_dict(), indent=2))
        raise quarrow.InvalidInputError(plan.refusal)
    planned = plan.files
    if not (force or dry_run):
        file_options.refuse_others(source, planned)
    if page is not None:
        # What is missing shows before the job, not after it.
        from quarrow.cli.report_page import render  # noqa: PLC0415 (only here is jinja2 needed)

        beside = {source, *file_options.files_of(source), *planned}
        check_text_file(page, force=force, beside=map(Path, beside))
    with file_progress() as progress:
        done = job(
            on_error=on_error.value,
            progress=progress,
            threads=threads,
            sync=sync,
            measure_error=error or (page is not None and not dry_run),
            dry_run=dry_run,
        )
    if page is not None:
        made = datetime.now(tz=UTC).astimezone()
        write_text(page, render(done, command=context.obj, made=made))
    if as_json:
        print(json.dumps(done.to_dict(), indent=2))
    else:
        print_summary(done, page=report)
