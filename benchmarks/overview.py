# SPDX-License-Identifier: Apache-2.0
"""Write README's picture and figures from docs/performance.md: python -m benchmarks.overview.

`benchmarks.document` does so too. Nothing is measured, and no figure comes from elsewhere.
"""

import re
import sys
from pathlib import Path

from benchmarks.harness import charts
from benchmarks.harness.store import write_atomically
from benchmarks.harness.svg import alone

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance" / "overview.svg"
README = ROOT / "README.md"

_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_START, _END = "<!-- python -m benchmarks.overview writes this -->\n", "<!-- so far -->\n"
# The first lines of the document's first table stand in README.
_ROWS_IN_README = 3

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
_NAMES = {"fbgemm": "FBGEMM", "torch_eager": "torch eager", "mlx": "mlx, 1 thread"}


def medians(document: str, suite: str) -> dict[str, float]:
    """Return the seconds of a suite's benchmarks, as the document has them."""
    _, _, rest = document.partition(f"(`{suite}`)\n")
    section = rest.partition("\n## ")[0]
    line = re.compile(
        r"^\| `(\w+)` \| .*? \| ([\d.,]+)(?: \[[^]]*\])? (ns|us|ms|s) \|", re.MULTILINE
    )
    return {
        found[1]: float(found[2].replace(",", "")) * _UNITS[found[3]]
        for found in line.finditer(section)
    }


def figures(document: str) -> str:
    """Return README's table: the first lines of the document's first."""
    lines = document[document.index("\n| ") + 1 :].splitlines()[: 2 + _ROWS_IN_README]
    return "\n".join(line for line in lines if line.startswith("|")) + "\n"


def picture(document: str) -> str:
    """Return the picture: a bar for each library, those of a job below each other."""
    seconds = medians(document, "peers")
    groups = []
    for heading, job, peers in _GROUPS:
        ours = [("quarrow", "ours", f"{job}_fresh_40mb"), ("np.copyto", "copy", "copy_40mb")]
        others = [(_NAMES.get(p, p.replace("_", "-")), "peer", f"{p}_{job}_40mb") for p in peers]
        others.sort(key=lambda each: seconds.get(each[2], 0.0))
        measured = [
            (name, role, seconds[id_]) for name, role, id_ in [*ours, *others] if id_ in seconds
        ]
        if measured:
            groups.append((heading, measured))
    cpus = re.search(r", \d+ CPUs", document)
    where = cpus[0] if cpus else ""
    title = f"Time to quantize 40 MB of float32 in memory{where}; shorter is faster"
    return alone(charts.bars(title, groups).svg)


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
    text = document.read_text(encoding="utf-8")
    write_atomically(picture_path, picture(text))
    readme_text = readme.read_text(encoding="utf-8")
    write_atomically(readme, with_figures(readme_text, figures(text)))


if __name__ == "__main__":
    write_overview()
    print(PICTURE)
    sys.exit(0)
