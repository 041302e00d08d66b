# SPDX-License-Identifier: Apache-2.0
"""`quarrow dequantize`."""

from functools import partial
from typing import Annotated

import typer

import quarrow
from quarrow.cli import file_options
from quarrow.cli.file_options import VALUES, FloatType, Io
from quarrow.cli.float_job import run_float_job


def dequantize(
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
    """Write a copy of a checkpoint in which quantized layers are float tensors again.

    They get the names, shapes and types that they had. Layers of other programs
    are restored where they are ComfyUI's int8 or FP8, weights cast to FP8, blocks
    of GGUF (Q8_0 to Q4_0), or integers of compressed-tensors (with the
    config.json beside IN); a file without any such layer is an error. All else
    stays.

    \b
    Examples:
      quarrow dequantize int8.safetensors restored.safetensors
      quarrow dequantize int8.safetensors bf16.safetensors --dtype bfloat16
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    job = partial(
        quarrow.dequantize_file,
        source,
        destination,
        dtype=dtype,
        io=io.value,
        max_shard_size=file_options.shard_bytes(max_shard_size),
    )
    run_float_job(
        job, source, as_json=as_json, dry_run=dry_run, force=force, sync=sync, threads=threads
    )
