# SPDX-License-Identifier: Apache-2.0
"""The progress bar of a file job."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from quarrow.cli.terminal import printable

FileProgress = Callable[[int, int, str], None]


class _LayerColumn(ProgressColumn):
    """The current layer's name, in what is left of the line."""

    def __init__(self) -> None:
        super().__init__(Column(ratio=1, no_wrap=True, overflow="ellipsis"))

    def render(self, task: Task) -> Text:
        return Text(task.fields["layer"])


@contextmanager
def file_progress() -> Iterator[FileProgress | None]:
    """Show bytes done, speed and the current layer on standard error.

    Yields the callback for a file job; or None, and shows nothing, where standard error is not a
    terminal that can redraw a line.
    """
    screen = Console(stderr=True)
    if sys.stderr is None or not sys.stderr.isatty() or screen.is_dumb_terminal:
        yield None
        return
    columns = (
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        _LayerColumn(),
    )
    with Progress(*columns, console=screen, expand=True) as bar:
        task = bar.add_task("", total=None, layer="")

        def show(done_bytes: int, total_bytes: int, name: str) -> None:
            bar.update(task, completed=done_bytes, total=total_bytes, layer=printable(name))

        yield show
        bar.update(task, layer="")
