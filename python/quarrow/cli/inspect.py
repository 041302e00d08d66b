# SPDX-License-Identifier: Apache-2.0
"""`quarrow inspect`."""

import json
import math
from collections import Counter
from typing import Annotated, Any

import typer

import quarrow
from quarrow.checkpoint import TensorInfo
from quarrow.cli.terminal import printable, size_text
from quarrow.counts import counted

_LONGEST_VALUE = 200


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A .safetensors file, the .index.json of its shards, or a .gguf file.",
        ),
    ],
    config: Annotated[
        bool,
        typer.Option(
            "--config", help="Print what belongs into the model's config.json, and nothing else."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as JSON, names and metadata as they are.")
    ] = False,
) -> None:
    """Show the tensors of a checkpoint, their sizes by type, and its metadata.

    Only headers and descriptions are read. A quantized layer is one line.

    \b
    Examples:
      quarrow inspect model.safetensors
      quarrow inspect model.safetensors --json
      quarrow inspect int4.safetensors --config
    """  # noqa: D301 (typer takes a backspace for "keep these lines as they are")
    with quarrow.open(file) as checkpoint:
        tensors = [checkpoint.info(name) for name in checkpoint]
        if config:
            print(json.dumps(_config(checkpoint.metadata), indent=2))
        elif as_json:
            print(json.dumps(_facts(file, checkpoint, tensors), indent=2))
        else:
            _print_tensors(tensors)
            _print_totals(checkpoint, tensors)
            _print_metadata(checkpoint.metadata)


def _config(metadata: dict[str, Any]) -> dict[str, Any]:
    key = "quantization_config"
    try:
        return {key: json.loads(metadata[key])}
    except (KeyError, TypeError, ValueError, RecursionError):
        msg = f"the metadata has no {key}; only files for compressed-tensors have one"
        raise quarrow.InvalidInputError(msg) from None


def _facts(file: str, checkpoint: quarrow.Checkpoint, tensors: list[TensorInfo]) -> dict[str, Any]:
    return {
        "file": file,
        "files": checkpoint.files,
        "bytes": checkpoint.nbytes,
        "tensors": [
            {
                "name": tensor.name,
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "bytes": tensor.nbytes,
                "format": None if tensor.format is None else _format_facts(tensor.format),
                "file": tensor.file,
            }
            for tensor in tensors
        ],
        "metadata": _json_values(checkpoint.metadata),
    }


def _json_values(value: Any) -> Any:
    """Return the same with None for the numbers that JSON lacks."""
    if isinstance(value, dict):
        return {key: _json_values(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json_values(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _format_facts(format: quarrow.Format) -> dict[str, Any]:
    return {"name": format.name, **format.facts()}


def _print_tensors(tensors: list[TensorInfo]) -> None:
    lines = [("type", "size", "shape", "format", "name")]
    lines += [
        (
            tensor.dtype,
            size_text(tensor.nbytes),
            " x ".join(map(str, tensor.shape)) or "scalar",
            "-" if tensor.format is None else tensor.format.name,
            printable(tensor.name),
        )
        for tensor in tensors
    ]
    dtypes, sizes, shapes, formats = (
        max(len(line[column]) for line in lines) for column in range(4)
    )
    for dtype, size, shape, format, name in lines:
        print(f"{dtype:<{dtypes}}  {size:>{sizes}}  {shape:<{shapes}}  {format:<{formats}}  {name}")


def _print_totals(checkpoint: quarrow.Checkpoint, tensors: list[TensorInfo]) -> None:
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for tensor in tensors:
        kind = tensor.dtype
        if tensor.format is not None:
            kind += f" as {tensor.format.name}"
        count[kind] += 1
        size[kind] += tensor.nbytes
    # The files are larger than their tensors: each has a header.
    files = len(checkpoint.files)
    rows = [(kind, nbytes, count[kind]) for kind, nbytes in size.most_common()]
    label = "file" if files == 1 else counted(files, "file")
    rows.append((label, checkpoint.nbytes, len(tensors)))
    width = max(len(kind) for kind, _, _ in rows)
    print()
    for kind, nbytes, tensor_count in rows:
        print(f"{kind:<{width}}  {size_text(nbytes):>8}  {counted(tensor_count, 'tensor')}")


def _print_metadata(metadata: dict[str, Any]) -> None:
    if metadata:
        print("\nmetadata")
    for key, value in metadata.items():
        text = value if isinstance(value, str) else json.dumps(value)
        cut = text[:_LONGEST_VALUE]
        left_out = len(text) - len(cut)
        more = f"... ({counted(left_out, 'more character')}, see --json)" if left_out else ""
        print(f"  {printable(key)}: {printable(cut)}{more}")
