# SPDX-License-Identifier: Apache-2.0
"""matplotlib's figures as small SVG in the reader's colours.

A colour is a custom property of `STYLE`, which pages have in their style and pictures that stand
alone carry with them: both follow the reader's scheme, and are light on paper.
"""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

# In the light and in the dark.
_COLOURS = {
    "ink": ("#1b1f24", "#e6e9ec"), "soft": ("#59636e", "#9ea9b4"), "line": ("#dde1e6", "#323a42"),
    "s0": ("#0b5cad", "#62abff"), "s1": ("#c2500f", "#ff9f5f"), "s2": ("#1a7f43", "#62cf8a"),
    "s3": ("#8a2fa8", "#d497ee"), "s4": ("#00798c", "#4fc9dc"), "s5": ("#a8324f", "#ff8fa6"),
    "s6": ("#6b6b00", "#d6d05c"), "s7": ("#5a5fc7", "#a5a9ff"),
}  # fmt: skip
# What matplotlib draws with, until the name of the property takes its place.
INKS = {name: f"#0102{index:02x}" for index, name in enumerate(_COLOURS)}
mpl.rcParams |= {
    # The same picture for the same figures; text as text, and never as mathematics.
    "svg.hashsalt": "quarrow", "svg.fonttype": "none", "text.parse_math": False, "font.size": 9,
    "axes.edgecolor": INKS["soft"], "axes.labelcolor": INKS["soft"], "axes.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": INKS["line"], "grid.linewidth": 0.6,
    "xtick.labelcolor": INKS["soft"], "xtick.major.size": 0, "xtick.minor.size": 0,
    "ytick.labelcolor": INKS["soft"], "ytick.major.size": 0, "ytick.minor.size": 0,
    "lines.markersize": 4, "lines.markeredgewidth": 0.8,
    "legend.frameon": False, "legend.labelcolor": INKS["ink"], "legend.handlelength": 3,
    "legend.labelspacing": 0.8,
}  # fmt: skip
_LIGHT, _DARK = (
    "".join(f"--{name}:{pair[scheme]};" for name, pair in _COLOURS.items()) for scheme in (0, 1)
)
STYLE = (
    f":root{{{_LIGHT}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}\n"
    "svg text{font-family:system-ui,sans-serif}\n"
)
_NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))
# What is dropped: all before the picture, comments, groups, frames that nothing fills, fonts, what
# is said elsewhere or by default, names that nothing uses.
_NEEDLESS = re.compile(
    r"(?s)^.*?(?=<svg)|<!--.*?-->|</?g\b[^>]*>|<defs>\s*<style.*?</defs>"
    r'|<path d="[^"]*" style="fill: none"/>|<clipPath.*?</clipPath>|<defs>\s*</defs>'
    r'| width="[\d.]+pt" height="[\d.]+pt"| xmlns(?::xlink)?="[^"]*"| version="1.1"'
    r"|xlink:(?=href)|font-family: [^;\"]*;? ?|font-size: 9px;? ?|text-anchor: start;? ?"
    r"|;? stroke-(?:dashoffset: 0|linejoin: miter|linecap: square)"
    r'| clip-path="[^"]*"| transform="rotate\(-?0 [^)]*\)"| style=""'
    r'| id="(?!m)[^"]*"|\n(?=[LMCQz"])|(?<=[:;]) (?=[^<>]*>)'
)
_NAME_OF_MARKER = re.compile(r"(?<=[\"#])m\w{10}(?=\")")


def svg_of(figure: Figure) -> str:
    """Return a figure as SVG for the inside of a page; nothing in it is cut."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata=_NOTHING)
    svg = _NEEDLESS.sub("", text.getvalue())
    # A digit after the point is a tenth of what one can see.
    short = re.compile(r"-?\d+\.\d{2,}(?=[^<>]*>)")
    svg = short.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), svg)
    for name, ink in INKS.items():
        svg = svg.replace(ink, f"var(--{name})")
    svg = svg.replace("<svg", '<svg font-size="9"', 1)
    return "\n".join(line for each in svg.splitlines() if (line := each.strip()))


def alone(svg: str) -> str:
    """Return a picture with its colours, for a file of its own."""
    names: dict[str, str] = {}
    svg = _NAME_OF_MARKER.sub(lambda m: names.setdefault(m[0], f"m{len(names)}"), svg)
    used = set(re.findall(r"var\((--\w+)\)", svg))
    style = re.sub(r"(--\w+):#\w+;", lambda m: m[0] * (m[1] in used), STYLE).replace("\n", "")
    head, rest = svg.split(">", 1)
    name = ' xmlns="http://www.w3.org/2000/svg"'
    return f"{head}{name}><style>{style}</style>{rest}\n"
