# SPDX-License-Identifier: Apache-2.0
"""A plain program that reads a file, and writes a file of as many bytes as a job's result has.

Two threads, each with its half. What is written the kernel moves from the input by itself
(sendfile), the rest of the input is read into a buffer that stays in the cache: of copy_file_range,
sendfile, and pread with pwrite in blocks of 64 KB to 8 MB this was the fastest on ext4. It computes
nothing; a program that does has to see every byte, and to write from its own memory.
"""

import os
from pathlib import Path

from benchmarks.fixtures import two_threads

BLOCK_BYTES = 1 << 20
SENT_AT_ONCE = 8 << 20


def _send(source: int, out: int, start: int, end: int) -> None:
    """Write a part of the input to the same place of the output."""
    os.lseek(out, start, os.SEEK_SET)
    while start < end:
        start += os.sendfile(out, source, start, min(SENT_AT_ONCE, end - start))


def _read(source: int, start: int, end: int) -> None:
    buffer = memoryview(bytearray(min(BLOCK_BYTES, max(end - start, 1))))
    while start < end:
        start += os.preadv(source, [buffer[: end - start]], start)


def copy_plainly(source: Path, out: Path, *, written: int, sync: bool, threads: int = 2) -> None:
    """Read the input and write as many bytes; the output appears whole."""
    beside = out.with_suffix(".part")
    size = source.stat().st_size
    beside.write_bytes(b"")

    def work(index: int) -> None:
        # A descriptor of its own: sendfile writes where that stands.
        with source.open("rb") as given, beside.open("rb+", buffering=0) as made:
            halves = [written * i // threads for i in (index, index + 1)]
            _send(given.fileno(), made.fileno(), *halves)
            rest = [written + (size - written) * i // threads for i in (index, index + 1)]
            _read(given.fileno(), *rest)

    with beside.open("rb+", buffering=0) as made:
        if threads == 1:
            work(0)
        else:
            os.posix_fallocate(made.fileno(), 0, written)
            list(two_threads().map(work, range(threads)))
        if sync:
            os.fsync(made.fileno())
    beside.replace(out)
