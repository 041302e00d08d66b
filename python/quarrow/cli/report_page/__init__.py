# SPDX-License-Identifier: Apache-2.0
"""A file report as one HTML page that needs no server and no network.

The page carries its style, its script and its data. A policy inside it lets nothing else run or
load, so a name in a checkpoint that looks like a script stays a name. jinja2 escapes what goes into
the markup and the data; the script writes text alone, never markup.
"""

import base64
import hashlib
import math
from collections.abc import Iterable
from datetime import datetime
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from quarrow import _core
from quarrow.cli.report_page.plot import error_plot
from quarrow.cli.terminal import printable, size_text
from quarrow.counts import counted
from quarrow.file_report import FileReport, LayerReport

_ERRORS = ("sqnr_db", "max_abs", "rmse", "cosine")
_CHANGED = ("quantized", "requantized", "restored")
_MOST_GROUPS = 20


class Group(NamedTuple):
    """The tensors that became the same for the same reason."""

    became: str
    why: str
    tensors: int
    bytes_in: int
    bytes_out: int


def render(report: FileReport, *, command: str, made: datetime) -> str:
    """Return the page; every character of the report that is not visible is shown as an escape.

    It says by which command it was made, and when.
    """
    layers = list(report.layers)
    errors = [layer.error["sqnr_db"] for layer in layers if layer.error is not None]
    groups = _groups(layers)
    style, script = _part("page.css"), _part("page.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(printable=printable, size=size_text, counted=counted)
    return environment.from_string(_part("page.html")).render(
        report=report,
        command=command,
        made=made.isoformat(sep=" ", timespec="seconds"),
        version=_core.version(),
        ratio=report.bytes_out / report.bytes_in if report.bytes_in else 1.0,
        changed=sum(layer.action in _CHANGED for layer in layers),
        tensors=len(layers),
        groups=groups,
        plot=error_plot(layers),
        measured=bool(errors),
        worst=_lowest(errors),
        data={
            "columns": _columns(measured=bool(errors)),
            "rows": [_row(each) for each in layers],
            "groups": [_outcome(group.became, group.why) for group in groups],
        },
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
    )


def _part(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _lowest(decibels: list[float]) -> str | None:
    # NaN, of a layer of zeros, is below nothing.
    numbers = [each for each in decibels if not math.isnan(each)]
    return f"{min(numbers):.1f} dB".replace("inf", "\u221e") if numbers else None


def _became(layer: LayerReport) -> str:
    if layer.is_quantized:
        return layer.format or ""
    if layer.action == "kept":
        return "left alone"
    return f"{layer.action} to {layer.dtype_out}"


def _outcome(became: str, why: str) -> str:
    return f"{became}: {why}" if why else became


def _groups(layers: Iterable[LayerReport]) -> list[Group]:
    """Return the groups with the most bytes first, those left alone last."""
    sums: dict[tuple[str, str], Group] = {}
    for layer in layers:
        became, why = _became(layer), printable(layer.reason or "")
        group = sums.get((became, why), Group(became, why, 0, 0, 0))
        sums[became, why] = Group(
            became,
            why,
            group.tensors + 1,
            group.bytes_in + layer.bytes_in,
            group.bytes_out + layer.bytes_out,
        )
    groups = sorted(
        sums.values(), key=lambda group: (group.became == "left alone", -group.bytes_in)
    )
    # Reasons that name their layer are as many as the layers.
    return groups[:_MOST_GROUPS]


def _columns(*, measured: bool) -> list[dict[str, str]]:
    columns = [
        ("Tensor", "name"),
        ("Became", "text"),
        ("Type", "text"),
        ("Shape", "text"),
        ("Before", "bytes"),
        ("After", "bytes"),
    ]
    if measured:
        columns += [
            ("SQNR, dB", "decibels"),
            ("Max error", "error"),
            ("RMSE", "error"),
            ("Cosine", "cosine"),
        ]
    return [{"label": label, "kind": kind} for label, kind in columns]


def _row(layer: LayerReport) -> list[Any]:
    same = layer.dtype == layer.dtype_out
    row: list[Any] = [
        printable(layer.name),
        _outcome(_became(layer), printable(layer.reason or "")),
        layer.dtype if same else f"{layer.dtype} to {layer.dtype_out}",
        " x ".join(map(str, layer.shape)) or "scalar",
        layer.bytes_in,
        layer.bytes_out,
    ]
    if layer.error is not None:
        row += [_json_number(layer.error[each]) for each in _ERRORS]
    return row


def _json_number(value: float) -> float | str:
    # JSON has no Inf and NaN; JavaScript's Number() reads these words.
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
