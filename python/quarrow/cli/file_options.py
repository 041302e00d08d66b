# SPDX-License-Identifier: Apache-2.0
"""What the commands from file to file have in common."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import quarrow
from quarrow.cli.output_files import refuse_existing
from quarrow.exceptions import InvalidInputError


class Io(StrEnum):
    """How to read the source."""

    READ = "read"
    MMAP = "mmap"


class FloatType(StrEnum):
    """A dtype that values are written in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


# The groups of `--help`, in their order there.
FORMAT, LAYERS, VALUES = "Format", "Which layers", "Values"
RESULT, OUTPUT, SPEED = "What is shown", "Output files", "Speed"

# Not Path, which would drop the slash that says "a folder".
Source = Annotated[
    str,
    typer.Argument(
        metavar="IN", help="A .safetensors file, the .index.json of its shards, or a .gguf file."
    ),
]
Destination = Annotated[
    str,
    typer.Argument(
        metavar="OUT",
        help="The file to write (in .gguf: GGUF), or the .index.json of several beside it.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="At most so many threads.",
        show_default="the CPUs this process may use",
        rich_help_panel=SPEED,
    ),
]
IoOption = Annotated[
    Io,
    typer.Option(
        help="Read IN, or map it; a mapped file that is cut short meanwhile ends the command.",
        rich_help_panel=SPEED,
    ),
]
MaxShardSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Write several files of at most so many bytes, such as 5GB, and their index.",
        rich_help_panel=OUTPUT,
    ),
]
Sync = Annotated[
    bool,
    typer.Option(
        "--sync/--no-sync",
        help="Whether to wait until OUT is on the disk.",
        rich_help_panel=OUTPUT,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the plan and the final size; write no OUT.",
        rich_help_panel=OUTPUT,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what exists.", rich_help_panel=OUTPUT)
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the report as JSON instead of a summary.", rich_help_panel=RESULT
    ),
]


def refuse_others(source: str, files: Sequence[str]) -> None:
    """Raise InvalidInputError where a file of somebody else would be replaced.

    A folder or the source itself is refused by the job, with --force too.
    """
    for each in files:
        path = Path(each)
        if path.is_dir() or each.endswith("/"):
            continue
        if path.exists() and Path(source).exists() and path.samefile(source):
            continue
        refuse_existing(path)


def files_of(source: str) -> list[str]:
    """Return the files of a checkpoint that are read, its index not among them."""
    if not source.endswith(".json"):
        return [source]
    with quarrow.open(source) as checkpoint:
        return checkpoint.files


def shard_bytes(size: str | None) -> int | str | None:
    """Return a size as the Python interface takes it: digits alone are bytes."""
    if size is not None and not size.strip():
        msg = "max_shard_size must not be empty"
        raise InvalidInputError(msg)
    return size
