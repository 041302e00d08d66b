# SPDX-License-Identifier: Apache-2.0
"""`quarrow convert`."""

from functools import partial
from typing import Annotated

import typer

import quarrow
from quarrow.cli import file_options
from quarrow.cli.file_options import VALUES, FloatType, Io
from quarrow.cli.float_job import run_float_job


def convert(
    source: file_options.Source,
    destination: file_options.Destination,
    dtype: Annotated[
        FloatType | None,
        typer.Option(
            help="For all float tensors.", show_default="as before", rich_help_panel=VALUES
        ),
    ] = None,
    as_json: file_options.AsJson = False,
    dry_run: file_options.DryRun = False,
    force: file_options.Force = False,
    max_shard_size: file_options.MaxShardSize = None,
    sync: file_options.Sync = True,
    threads: file_options.Threads = None,
    io: file_options.IoOption = Io.READ,
) -> None:
    """Write a copy of a checkpoint as another kind of file, or in another type.

    The ending of OUT says which kind: .gguf, or .safetensors, also as one file
    where IN has several. Nothing is quantized. Layers that are quantized stay so
    in a file of the same kind; in one of another kind they become float tensors,
    where `quarrow dequantize` restores them, and are refused otherwise.

    \b
    Examples:
      quarrow convert model.safetensors model.gguf
      quarrow convert model.gguf model.safetensors --dtype bfloat16
      quarrow convert model.safetensors.index.json model.safetensors
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    job = partial(
        quarrow.convert_file,
        source,
        destination,
        dtype=dtype,
        io=io.value,
        max_shard_size=file_options.shard_bytes(max_shard_size),
    )
    run_float_job(
        job, source, as_json=as_json, dry_run=dry_run, force=force, sync=sync, threads=threads
    )
