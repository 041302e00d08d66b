# SPDX-License-Identifier: Apache-2.0
"""Write README's picture and figures from docs/performance.md: python -m benchmarks.overview.

`benchmarks.document` does so too. Nothing is measured, and no figure comes from elsewhere.
"""

import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.store import write_atomically

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance" / "overview.svg"
README = ROOT / "README.md"

_UNITS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
_START, _END = "<!-- python -m benchmarks.overview writes this -->\n", "<!-- so far -->\n"

# The jobs of the picture: what quarrow and the others do with 40 MB, and the copy of one thread.
_GROUPS = (
    (
        "int4 in groups of 128",
        "int4",
        ("fbgemm", "mlx", "torch_eager", "onnxruntime", "torchao", "quanto", "numpy"),
    ),
    ("int8 per row", "int8", ("fbgemm", "numpy", "torch_eager", "torchao")),
    (
        "int8_rowwise, as ComfyUI reads it",
        "int8_rowwise",
        ("numpy", "torch_eager", "comfy_kitchen", "bitsandbytes", "quanto"),
    ),
)
# The rows of README's table: suite, benchmark, its copy, and what it is.
_FIGURES = (
    ("peers", "int4_fresh_40mb", "copy_40mb", "40 MB of float32 to `int4`"),
    ("peers", "int8_rowwise_fresh_40mb", "copy_40mb", "40 MB of float32 to `int8_rowwise`"),
    ("end_to_end", "flux_file", "flux_plain", "a file of 1.1 GB to an `int8_rowwise` file"),
)  # fmt: skip

_WIDTH, _LABELS, _VALUES, _BAR, _HEADING = 720, 130, 90, 16, 30
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.h{font-weight:600}.ours{fill:#0b62b8}"
    ".copy{fill:#9aa5b1}.other{fill:#d0a36c}"
    "@media(prefers-color-scheme:dark){text{fill:#d5dbe1}.ours{fill:#6cb4ff}.copy{fill:#66727e}"
    ".other{fill:#a5783f}}"
)


class Line(NamedTuple):
    """A benchmark, as the document has it."""

    title: str
    median: str
    peer: str

    @property
    def milliseconds(self) -> float:
        """The median as a number."""
        number, unit = self.median.split()
        return float(number.replace(",", "")) * _UNITS[unit]


def read_lines(document: str) -> dict[tuple[str, str], Line]:
    """Return the benchmarks of a document by suite and name."""
    found = {}
    suite = ""
    for text in document.splitlines():
        if heading := re.fullmatch(r"## .*\(`(\w+)`\)", text):
            suite = heading[1]
        cells = [cell.strip() for cell in text.strip("|").split(" | ")]
        if suite and len(cells) == 9 and (name := re.fullmatch(r"`(.+)`", cells[0])):
            median = re.sub(r" \[.*\]", "", cells[2])
            found[suite, name[1]] = Line(cells[1], median, cells[7])
    return found


def figures(lines: dict[tuple[str, str], Line]) -> str:
    """Return README's table: each job beside the fastest other library, and beside a copy."""
    rows = [
        "| job | quarrow | the fastest other library | plain copy |",
        "|---|---|---|---|",
    ]
    by_title = {(suite, line.title): line for (suite, _), line in lines.items()}
    for suite, name, copy, words in _FIGURES:
        ours = lines[suite, name]
        times, _, rest = ours.peer.partition(", ")
        title = re.sub(r" \([^()]*\)$", "", rest)
        who = title.rpartition(": ")[2].partition(",")[0]
        peer = by_title[suite, title].median
        rows.append(
            f"| {words} | {ours.median} | {who}: {peer}, {times} times as long |"
            f" {lines[suite, copy].median} |"
        )
    return "\n".join(rows) + "\n"


def picture(lines: dict[tuple[str, str], Line]) -> str:
    """Return the picture: a bar for each library, those of a job below each other."""
    groups = [(heading, list(_bars(lines, what, peers))) for heading, what, peers in _GROUPS]
    longest = max(line.milliseconds for _, bars in groups for _, _, line in bars)
    scale = (_WIDTH - _LABELS - _VALUES) / longest
    body = []
    y = 16
    for heading, bars in groups:
        body.append(f'<text class="h" x="0" y="{y}">{escape(heading)}</text>')
        y += 8
        for label, kind, line in bars:
            width = max(line.milliseconds * scale, 1)
            body.append(
                f'<text x="{_LABELS - 6}" y="{y + 11}" text-anchor="end">{escape(label)}</text>'
                f'<rect class="{kind}" x="{_LABELS}" y="{y + 2}" width="{width:.1f}" height="11"/>'
                f'<text x="{_LABELS + width + 6:.1f}" y="{y + 11}">{escape(line.median)}</text>'
            )
            y += _BAR
        y += _HEADING - 8
    height = y - _HEADING + 14
    title = "Time to quantize 40 MB of float32 in memory, two CPUs; shorter is faster"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            *body,
            "</svg>\n",
        ]
    )


def _bars(
    lines: dict[tuple[str, str], Line], what: str, peers: tuple[str, ...]
) -> Iterator[tuple[str, str, Line]]:
    yield "quarrow", "ours", lines["peers", f"{what}_fresh_40mb"]
    yield "np.copyto", "copy", lines["peers", "copy_40mb"]
    others = {peer: lines.get(("peers", f"{peer}_{what}_40mb")) for peer in peers}
    known = [(peer, line) for peer, line in others.items() if line is not None]
    for peer, line in sorted(known, key=lambda pair: pair[1].milliseconds):
        name = {"fbgemm": "FBGEMM", "torch_eager": "torch eager"}.get(peer, peer.replace("_", "-"))
        yield name, "other", line


def with_figures(readme: str, table: str) -> str:
    """Return README with another table between its marks."""
    before, start, rest = readme.partition(_START)
    _, end, after = rest.partition(_END)
    if not (start and end):
        msg = f"README has no {_START.strip()} ... {_END.strip()}"
        raise ValueError(msg)
    return before + start + table + end + after


def write_overview(
    document: Path = DOCUMENT, picture_path: Path = PICTURE, readme: Path = README
) -> None:
    """Write the picture, and the figures into README."""
    lines = read_lines(document.read_text(encoding="utf-8"))
    write_atomically(picture_path, picture(lines))
    text = readme.read_text(encoding="utf-8")
    write_atomically(readme, with_figures(text, figures(lines)))


if __name__ == "__main__":
    write_overview()
    print(PICTURE)
    sys.exit(0)
