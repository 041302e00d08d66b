# SPDX-License-Identifier: Apache-2.0
"""A large ControlNet from file to file: by quarrow, by a plain program, by other libraries."""

import functools
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import quarrow as qr

from benchmarks import file_peers
from benchmarks.file_peers import FileJob
from benchmarks.harness.case import Case, Job
from benchmarks.models import LARGE, folder, source_of
from benchmarks.verification import require

FORMAT = "int8_rowwise"
WORD = f"{FORMAT} file of the {LARGE.words}"
BUFFER_BYTES = 8 << 20


def check_restored(source: Path, out: Path) -> None:
    """Require that the file gives back its input within half a step, by row."""
    quantized = 0
    with qr.open(source) as originals, qr.open(out) as file:
        for name, value in file.items():
            if isinstance(value, qr.QuantizedTensor):
                quantized += 1
                original: Any = originals[name]
                error = np.abs(value.dequantize() - original.numpy().astype(np.float32))
                scales = value.scales.reshape(-1, 1)
                require(np.all(error <= 0.51 * scales), f"{name} is too far from its input")
    require(quantized, "nothing was quantized")


def _check_size(source: Path, out: Path) -> None:
    """Require a file of about half the size: what is in it is the peer's affair."""
    share = out.stat().st_size / source.stat().st_size
    require(0.4 < share < 0.75, f"the file has {share:.2f} of the bytes of its source")


def quantize(source: Path, out: Path, *, sync: bool, io: str) -> None:
    """Do the job with quarrow."""
    qr.quantize_file(source, out, FORMAT, runtime="none", sync=sync, io=io, threads=2)


@functools.cache
def _result_bytes() -> int:
    return qr.quantize_file(
        source_of(LARGE), folder() / "size", FORMAT, runtime="none", dry_run=True
    ).bytes_out


def copy_plainly(source: Path, out: Path, *, sync: bool) -> None:
    """Read the input and write as many bytes as the output has: what no program can avoid."""
    buffer = bytearray(BUFFER_BYTES)
    with source.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    beside = out.with_suffix(".part")
    with beside.open("wb", buffering=0) as file:
        left = _result_bytes()
        while left:
            left -= file.write(memoryview(buffer)[: min(left, len(buffer))])
        if sync:
            os.fsync(file.fileno())
    beside.replace(out)


def _job(id_: str, way: FileJob, check: FileJob) -> Job:
    source, out = source_of(LARGE), folder() / f"{id_}.out"
    return Job(lambda: way(source, out), lambda _: check(source, out), lambda _: [])


def _peer_job(id_: str, peer: file_peers.FilePeer) -> Job:
    peer.load()
    return _job(id_, peer.run, _check_size)


def cases() -> Iterator[Case]:
    """Return the benchmarks."""

    def case(
        name: str,
        title: str,
        way: FileJob,
        check: FileJob,
    ) -> Case:
        id_ = f"{LARGE.name}_{name}"
        synced = name.endswith("_synced")
        return Case(
            id=id_,
            title=f"{LARGE.words}: {title}" + ", synced" * synced,
            prepare=partial(_job, id_, way, check),
            bytes=LARGE.megabytes * 1_000_000,
            threads=2,
            copy=f"{LARGE.name}_plain" + "_synced" * synced,
            job=WORD + ", synced" * synced,
            seconds=0.7,
        )

    for sync in (False, True):
        ending = "_synced" * sync
        ours = partial(quantize, sync=sync, io="read")
        yield case(f"file{ending}", "quantize_file", ours, check_restored)
        copy = partial(copy_plainly, sync=sync)
        plain = case(f"plain{ending}", "read, as many bytes written", copy, _check_size)
        yield replace(plain, role="copy", package="", threads=1)
    mapped = partial(quantize, sync=False, io="mmap")
    yield case("file_mapped", "quantize_file, mapped input", mapped, check_restored)
    for peer in file_peers.installed():
        made = case(peer.id, peer.title, peer.run, _check_size)
        yield replace(
            made,
            prepare=partial(_peer_job, made.id, peer),
            role="peer",
            package=peer.package,
            seconds=peer.seconds_per_gb * LARGE.megabytes / 1000,
        )
