# SPDX-License-Identifier: Apache-2.0
"""The command line, called in this process with an output of its own."""

import io
import logging
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
from quarrow import cli
from safetensors.numpy import save_file

from tests.faults.file_jobs import OLD, SHARDS, old_shards, plain, quantized, sharded
from tests.faults.job import Files, Job, JobKind

_DAMAGED_FILE = 2
PAGE = "page.html"


def command(folder: Path, *arguments: str | Path, old: Files | None = None) -> Job:
    """Make a job of a command line. Its result is the exit code, and how each line begins."""
    printed = folder / "printed"
    argv = ["quarrow", *map(str, arguments)]

    def before() -> None:
        # A command that could not write has let go of its standard output; what it did not write
        # comes when the object goes.
        sys.stdout = io.StringIO()
        file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, 1)
        os.close(file)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        # Each call adds a handler.
        logging.getLogger("quarrow").handlers.clear()

    def run() -> object:
        with mock.patch.object(sys, "argv", argv):
            try:
                cli.main()
            except SystemExit as end:
                return end.code
        return None

    def result(code: object) -> object:
        return [code, [line.split()[:1] for line in printed.read_text().splitlines()]]

    def failed(code: object) -> str | None:
        if code == 0:
            return None
        known = code in (1, _DAMAGED_FILE)
        return f"exit code {code}" if known else f"untyped: exit code {code}"

    return Job(run, old or {}, before=before, result=result, failed=failed, pages=(PAGE,))


def quantize(folder: Path) -> Job:
    arguments = ("quantize", plain(folder), folder / "out" / "out.safetensors", "--force")
    page = folder / "out" / PAGE
    old = {**OLD, PAGE: b"the old page"}
    return command(folder, *arguments, "-f", "int4", "--report", page, old=old)


def quantize_sharded(folder: Path) -> Job:
    source = sharded(folder)
    arguments = ("quantize", source, folder / "out" / "out.safetensors", "-f", "int4", "--force")
    old = old_shards(folder, source, "int8")
    return command(folder, *arguments, "--max-shard-size", SHARDS, "--json", old=old)


def dequantize(folder: Path) -> Job:
    out = folder / "out" / "out.safetensors"
    source = quantized(folder, "int4")
    return command(folder, "dequantize", source, out, "--io", "mmap", "--force", old=OLD)


def inspect(folder: Path) -> Job:
    return command(folder, "inspect", sharded(folder, "int4"))


def compare(folder: Path) -> Job:
    return command(folder, "compare", plain(folder), quantized(folder, "int4"))


def refuse(folder: Path) -> Job:
    """A file that is refused: exit code 1 is what must come."""
    source = folder / "in" / "damaged.safetensors"
    save_file({"a.weight": np.full((32, 128), np.nan, np.float32)}, source)
    job = command(folder, "quantize", source, folder / "out" / "out.safetensors", "-f", "int4")
    return Job(job.run, before=job.before, failed=lambda code: None if code == 1 else f"{code}")


KINDS = {
    "command_quantize": JobKind(quantize, slow=True),
    "command_sharded": JobKind(quantize_sharded, slow=True),
    "command_dequantize": JobKind(dequantize, slow=True),
    "command_inspect": JobKind(inspect, slow=True),
    "command_compare": JobKind(compare, slow=True),
    "command_refuse": JobKind(refuse, slow=True),
}
