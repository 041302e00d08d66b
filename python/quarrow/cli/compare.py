# SPDX-License-Identifier: Apache-2.0
"""`quarrow compare`."""

import json
import math
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

import quarrow
from quarrow.cli.progress import file_progress
from quarrow.cli.terminal import printable
from quarrow.counts import counted
from quarrow.descriptions import ErrorStats


@dataclass
class Comparison:
    """What two checkpoints have in common, and what not."""

    equal: list[str] = field(default_factory=list)
    different: list[tuple[str, ErrorStats]] = field(default_factory=list)
    not_compared: list[tuple[str, str]] = field(default_factory=list)

    def worst_first(self) -> list[tuple[str, ErrorStats]]:
        """Return what differs, the least alike first."""

        def badness(pair: tuple[str, ErrorStats]) -> tuple[float, float]:
            sqnr_db = pair[1].sqnr_db
            return (-math.inf if math.isnan(sqnr_db) else sqnr_db, -pair[1].max_abs)

        return sorted(self.different, key=badness)


def compare(
    original: Annotated[str, typer.Argument(metavar="A", help="The original checkpoint.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The one to compare with it.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every tensor as JSON, names as they are.")
    ] = False,
) -> None:
    """Show how far the tensors of B are from those of A.

    Values are compared: B may be quantized, A too, and both may have other types. Exits with 0 when
    every tensor has its counterpart, however far, with 1 when one could not be compared (what is of
    no float type must be the same bytes), with 2 for a damaged file.

    \b
    Examples:
      quarrow compare model.safetensors int8.safetensors
      quarrow compare model.safetensors int8.safetensors --json
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    with quarrow.open(original) as first, quarrow.open(other) as second:
        found = _compare(first, second)
    if as_json:
        print(json.dumps(_facts(original, other, found), indent=2))
    else:
        _print(found)
    if found.not_compared:
        msg = f"{counted(len(found.not_compared), 'tensor')} could not be compared"
        raise quarrow.InvalidInputError(msg)


def _compare(original: quarrow.Checkpoint, other: quarrow.Checkpoint) -> Comparison:
    found = Comparison()
    sizes = {name: original.info(name).nbytes for name in original}
    total, done = sum(sizes.values()), 0
    with file_progress() as progress:
        for name, nbytes in sizes.items():
            _compare_tensor(found, name, original, other)
            done += nbytes
            if progress is not None:
                progress(done, total, name)
    found.not_compared += [(name, "only in B") for name in other if name not in original]
    return found


def _compare_tensor(
    found: Comparison, name: str, original: quarrow.Checkpoint, other: quarrow.Checkpoint
) -> None:
    if name not in other:
        found.not_compared.append((name, "only in A"))
        return
    left, right = original.info(name), other.info(name)
    if left.shape != right.shape:
        found.not_compared.append((name, f"shapes {_shape(left)} and {_shape(right)}"))
        return
    try:
        error = original.compare(name, other)
    except quarrow.InvalidInputError:
        if left.dtype == right.dtype:
            reason = f"different {left.dtype} values"
        else:
            reason = f"types {left.dtype} and {right.dtype}"
        found.not_compared.append((name, reason))
        return
    if error is None or error.max_abs == 0:
        found.equal.append(name)
    else:
        found.different.append((name, error))


def _shape(tensor: quarrow.TensorInfo) -> str:
    return " x ".join(map(str, tensor.shape)) or "scalar"


def _print(found: Comparison) -> None:
    if found.different:
        columns = f"{'SQNR':>8}  {'max error':>9}  {'RMSE':>9}  {'cosine':>10}"
        print(f"{columns}  tensor, the worst first")
    for name, error in found.worst_first():
        print(
            f"{error.sqnr_db:>5.1f} dB  {error.max_abs:>9.3g}  {error.rmse:>9.3g}  "
            f"{error.cosine:>10.7f}  {printable(name)}"
        )
    if found.different:
        print()
    for label, count in (
        ("equal", len(found.equal)),
        ("different", len(found.different)),
        ("not compared", len(found.not_compared)),
    ):
        print(f"{label:<14}{count:>6,}")
    for name, reason in found.not_compared:
        print(f"  {printable(name)}: {reason}")


def _facts(original: str, other: str, found: Comparison) -> dict[str, Any]:
    return {
        "a": original,
        "b": other,
        "equal": found.equal,
        "different": [
            {
                "name": name,
                **{
                    key: value if math.isfinite(value) else None
                    for key, value in error._asdict().items()
                },
            }
            for name, error in found.worst_first()
        ],
        "not_compared": [{"name": name, "reason": reason} for name, reason in found.not_compared],
    }
