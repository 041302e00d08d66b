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
)
from rich.table import Column
from rich.text import Text

from quarrow.cli.terminal import printable, size_text

FileProgress = Callable[[int, int, str], None]

# Before that a speed says more of the start than of the job.
_SECONDS_TO_TELL = 0.5
_COLUMNS_OF_ALL = 70


class _LayerColumn(ProgressColumn):
    """The current layer's name, in what is left of the line."""

    def __init__(self) -> None:
        super().__init__(Column(ratio=1, no_wrap=True, overflow="ellipsis"))

    def render(self, task: Task) -> Text:
        return Text(task.fields["layer"])


class _PaceColumn(ProgressColumn):
    """The speed since the start, which is that of the summary, and the time left at this speed."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        return Text(pace_text(int(task.completed), int(task.total or 0), task.elapsed or 0.0))


def pace_text(done_bytes: int, total_bytes: int, seconds: float) -> str:
    """Return `1.09 GB/s, 0:12 left`; nothing as long as it would be a guess."""
    if seconds < _SECONDS_TO_TELL or done_bytes <= 0:
        return ""
    speed = done_bytes / seconds
    left = round((total_bytes - done_bytes) / speed)
    minutes, rest = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{size_text(int(speed))}/s, {clock} left"


@contextmanager
def file_progress() -> Iterator[FileProgress | None]:
    """Show bytes done, speed, time left and the current layer on standard error.

    The line goes when the job ends: what it came to is said by the summary. Yields the callback for
    a file job; or None, and shows nothing, where standard error is not a terminal that can redraw a
    line.
    """
    screen = Console(stderr=True)
    if sys.stderr is None or not sys.stderr.isatty() or screen.is_dumb_terminal:
        yield None
        return
    columns: list[ProgressColumn] = [TaskProgressColumn(), DownloadColumn(), _PaceColumn()]
    if screen.width >= _COLUMNS_OF_ALL:
        columns = [BarColumn(bar_width=16), *columns, _LayerColumn()]
    with Progress(*columns, console=screen, expand=True, transient=True) as bar:
        task = bar.add_task("", total=None, layer="")

        def show(done_bytes: int, total_bytes: int, name: str) -> None:
            bar.update(task, completed=done_bytes, total=total_bytes, layer=printable(name))

        yield show
        bar.update(task, layer="")
