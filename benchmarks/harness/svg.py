# SPDX-License-Identifier: Apache-2.0
"""matplotlib's figures as small SVG in the reader's colours.

A colour is a custom property of `STYLE`, which pages have in their style and pictures that stand
alone carry with them: both follow the reader's scheme, and are light on paper.
"""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

# The same picture for the same figures; text as text, and never as mathematics.
mpl.rcParams |= {
    "svg.hashsalt": "quarrow",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.markersize": 4,
    "lines.markeredgewidth": 0.8,
}

# In the light and in the dark.
_COLOURS = {
    "ink": ("#1b1f24", "#e6e9ec"), "soft": ("#59636e", "#9ea9b4"), "line": ("#dde1e6", "#323a42"),
    "s0": ("#0b5cad", "#62abff"), "s1": ("#c2500f", "#ff9f5f"), "s2": ("#1a7f43", "#62cf8a"),
    "s3": ("#8a2fa8", "#d497ee"), "s4": ("#00798c", "#4fc9dc"), "s5": ("#a8324f", "#ff8fa6"),
    "s6": ("#6b6b00", "#d6d05c"), "s7": ("#5a5fc7", "#a5a9ff"),
}  # fmt: skip
# What matplotlib draws with, until the name of the property takes its place.
INKS = {name: f"#0102{index:02x}" for index, name in enumerate(_COLOURS)}
_LIGHT, _DARK = (
    "".join(f"--{name}:{pair[scheme]};" for name, pair in _COLOURS.items()) for scheme in (0, 1)
)
STYLE = (
    f":root{{{_LIGHT}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}\n"
    "svg text{font-family:system-ui,sans-serif}\n"
)
_NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))
# What is dropped of a picture, and what its tags lose: names of groups, fonts, blanks.
_NEEDLESS = re.compile(
    r"(?s)^.*?(?=<svg)|<!--.*?-->|<defs>\s*<style.*?</defs>"
    r'|<path d="[^"]*" style="fill: none"/>|<clipPath.*?</clipPath>'
)
_SHORTER = re.compile(
    r' width="[\d.]+pt" height="[\d.]+pt"| xmlns(?::xlink)?="[^"]*"| version="1.1"|xlink:(?=href)'
    r"|font-family: [^;\"]*;? ?|font-size: 9px;? ?|text-anchor: start;? ?"
    r"|;? stroke-(?:dashoffset: 0|linejoin: miter|linecap: square)"
    r'| clip-path="[^"]*"| transform="rotate\(-?0 [^)]*\)"'
    r'|(?<=\d)\s+(?=[LMCQzZ])|(?<=[LMCQ])\s+|(?<=[zZ\d])\s+(?=")|(?<=[:;])\s+'
)
_MARKER = re.compile(r'(<path id="(m\w+)"[^>]*? style=")[^"]*')
_NAME_OF_MARKER = re.compile(r"(?<=[\"#])m\w{10}(?=\")")


def _shorter(tag: re.Match[str]) -> str:
    """Return a tag with a digit after the point, a tenth of what one can see."""
    text = re.sub(r"-?\d+\.\d{2,}", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), tag[0])
    return _SHORTER.sub("", text)


def _without_plain_groups(svg: str) -> str:
    """Return a picture without groups that say nothing of what is in them."""
    kept: list[bool] = []

    def keep(match: re.Match[str]) -> str:
        if match[0] != "</g>":
            kept.append(match[0] != "<g>")
            return match[0] * kept[-1]
        return match[0] * kept.pop()

    return re.sub(r"<g(?: [^>]*)?(?<!/)>|</g>", keep, svg)


def svg_of(figure: Figure) -> str:
    """Return a figure as SVG for the inside of a page; nothing in it is cut."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata=_NOTHING)
    svg = re.sub(r"<[^>]+>", _shorter, _NEEDLESS.sub("", text.getvalue()))
    used = set(re.findall(r"#([\w-]+)[\")]", svg))
    svg = re.sub(r' id="([^"]+)"', lambda m: m[0] * (m[1] in used), svg)
    # A marker has one style wherever it stands: that of its definition will do.
    looks = dict(re.findall(r'<use href="#(\w+)"[^>]* style="([^"]*)"', svg))
    svg = re.sub(r'(<use [^>]*?) style="[^"]*"', r"\1", svg)
    svg = _MARKER.sub(lambda m: m[1] + looks[m[2]], svg)
    svg = re.sub(r"<(defs|g)>\s*</\1>|<g/>", "", _without_plain_groups(svg))
    for name, ink in INKS.items():
        svg = svg.replace(ink, f"var(--{name})")
    svg = svg.replace("<svg ", '<svg font-size="9" ', 1)
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
