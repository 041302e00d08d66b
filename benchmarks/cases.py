# SPDX-License-Identifier: Apache-2.0
"""What cases of several suites have in common: sizes, words, and the copies beside them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.fixtures import SIZES, matrix_bytes, weights
from benchmarks.harness.case import Case, Job
from benchmarks.jobs import copy_job, copy_library


def threads_text(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def case_of_size(
    megabytes: int, id_: str, words: str, prepare: Callable[[int], Job], **rest: Any
) -> Case:
    """Return the case of one matrix; "{}" in a text is its size in MB."""
    texts = {"id": id_, "title": words, "copy": "copy_{}mb"}
    fields: dict[str, Any] = texts | rest
    for key, text in fields.items():
        fields[key] = text.format(megabytes) if isinstance(text, str) else text
    bytes_ = fields.pop("bytes", matrix_bytes(megabytes))
    return Case(prepare=partial(prepare, megabytes), size=megabytes, bytes=bytes_, **fields)


def missing_copy() -> dict[str, str]:
    """Return what a suite lacks where the copy by two threads was not built."""
    path = copy_library()
    words = "not built, tools/setup benchmarks builds it: no copy by two threads"
    return {} if path.exists() else {path.name: words}


def _copy(megabytes: int, threads: int) -> Job:
    return copy_job([weights(megabytes)], threads)


def copies(sizes: Sequence[int] = SIZES, chart: str = "*") -> Iterator[Case]:
    """Return the references of a suite: a copy of the inputs, by one thread and by two."""
    for megabytes in sizes:
        for threads in (1,) if missing_copy() else (1, 2):
            yield case_of_size(
                megabytes,
                "copy_{}mb" + "_2_threads" * (threads == 2),
                ("", "np.copyto", "memcpy in C++")[threads] + f", {{}} MB, {threads_text(threads)}",
                partial(_copy, threads=threads),
                role="copy",
                package="numpy" if threads == 1 else "",
                chart=chart,
                line=f"copy, {threads_text(threads)}",
                threads=threads,
                copy="",
            )
