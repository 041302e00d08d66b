# SPDX-License-Identifier: Apache-2.0
"""What a job from file to file prints at its end, for a person."""

import json
from collections import Counter
from collections.abc import Sequence
from heapq import nsmallest

from quarrow import formats
from quarrow.cli.terminal import printable, size_text
from quarrow.counts import counted
from quarrow.file_report import ACTIONS, FileReport, LayerReport

_WORST_LAYERS = 5
_MOST_REASONS = 10


def print_summary(report: FileReport, page: str | None = None) -> None:
    """Print sizes, time, what became of the tensors, and the largest errors if measured.

    `page` is where a report page was written.
    """
    if report.dry_run:
        _print_plan(report.layers)
    size = f"{size_text(report.bytes_in)} -> {size_text(report.bytes_out)}"
    if report.bytes_in:
        size += f" ({change_text(report.bytes_out / report.bytes_in)})"
    _print_row("size", size)
    if report.dry_run:
        _print_row("dry run", "nothing was written")
    else:
        time = f"{report.seconds:.2f} s"
        if report.seconds:
            time += f" ({size_text(int(report.bytes_in / report.seconds))}/s)"
        _print_row("time", time)
    if len(report.files) > 1:
        _print_row("files", f"{len(report.files) - 1:,} and {printable(report.files[-1])}")
    _print_tensors(report)
    if has_zero_points(report):
        _print_row("hint", "transformers loads such layers only when quantized with --symmetric")
    if page is not None:
        _print_row("report", printable(page))
    _print_errors([(each.name, each.error) for each in report.layers if each.error is not None])


def has_zero_points(report: FileReport) -> bool:
    """Whether its layers are for compressed-tensors, with zero points.

    Version 0.20 reads them, but gives transformers' models parameters of another shape
    (github.com/vllm-project/llm-compressor/issues/1618).
    """
    with_choice = {each.name for each in formats() if "symmetric" in each.fields}
    if not any(layer.format in with_choice for layer in report.layers):
        return False
    # Ours: a file that brings its own gets no layers beside those.
    groups = json.loads(report.metadata["quantization_config"])["config_groups"]
    return not all(group["weights"]["symmetric"] for group in groups.values())


def change_text(ratio: float) -> str:
    """Return `49.7% smaller` or `98.6% larger` for a size after, in sizes before."""
    percent = f"{abs(ratio - 1):.1%}"
    if percent == "0.0%":
        return "about the same"
    return f"{percent} {'smaller' if ratio < 1 else 'larger'}"


def _print_row(label: str, text: str) -> None:
    print(f"{label:<12}{text}")


def _print_tensors(report: FileReport) -> None:
    if report.format is not None and not any(layer.is_quantized for layer in report.layers):
        _print_row("quantized", counted(0, "tensor"))
    for action in ACTIONS:
        counts = Counter(_became(layer) for layer in report.layers if layer.action == action)
        for what, count in counts.most_common():
            _print_row(action, f"{counted(count, 'tensor')} to {what}")
    left_alone = Counter(layer.reason for layer in report.layers if layer.action == "kept")
    reasons = left_alone.most_common(_MOST_REASONS)
    for reason, count in reasons:
        why = f": {printable(reason)}" if reason else ", as they are"
        _print_row("left alone", counted(count, "tensor") + why)
    # Reasons that name their layer are as many as the layers.
    others = left_alone.total() - sum(count for _, count in reasons)
    if others:
        more = counted(others, "more tensor")
        _print_row("left alone", f"{more}, for the reasons that --json gives")


def _became(layer: LayerReport) -> str:
    return layer.format or layer.dtype_out


def _print_plan(layers: Sequence[LayerReport]) -> None:
    print(f"{'before':>8}  {'after':>8}  {'becomes':<12}  tensor")
    for layer in layers:
        before, after = size_text(layer.bytes_in), size_text(layer.bytes_out)
        becomes = "-" if layer.action == "kept" else _became(layer)
        print(f"{before:>8}  {after:>8}  {becomes:<12}  {printable(layer.name)}")
    print()


def _print_errors(measured: list[tuple[str, dict[str, float]]]) -> None:
    if not measured:
        return
    print(f"\n{'SQNR':>8}  {'max error':>9}  {'RMSE':>8}  layers with the largest error")
    for name, error in nsmallest(_WORST_LAYERS, measured, key=lambda pair: pair[1]["sqnr_db"]):
        print(
            f"{error['sqnr_db']:>5.1f} dB  {error['max_abs']:>9.3g}  {error['rmse']:>8.3g}"
            f"  {printable(name)}"
        )
