# SPDX-License-Identifier: Apache-2.0
"""What a file job reports: of the file, and of each tensor."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, overload

from quarrow import _core
from quarrow.counts import counted

# What changes a tensor, in the order in which people are told.
ACTIONS = ("quantized", "requantized", "restored", "converted")


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What became of one tensor.

    Attributes
    ----------
    name : str
        The tensor, as the file names it: any characters.
    action : "quantized", "requantized", "restored", "converted" or "kept"
        Whether it was quantized, had been before, was dequantized, given another dtype, or copied
        byte for byte.
    format : str or None
        The format's name, when quantized.
    reason : str or None
        Why it was not quantized.
    shape : tuple of int
        As in the source, and for a layer that is decoded as before it was quantized.
    dtype, dtype_out : str
        Of its values before and after, as safetensors spells it, and of GGUF's blocks ggml: "BF16",
        "Q4_K". A quantized tensor keeps its dtype: it is what ``dequantize`` restores.
    bytes_in, bytes_out : int
        Of its data before and after, scales and description included.
    error : dict or None
        ``max_abs``, ``rmse``, ``sqnr_db`` and ``cosine``, when measured and quantized.
    """

    name: str
    action: str
    format: str | None
    reason: str | None
    shape: tuple[int, ...]
    dtype: str
    dtype_out: str
    bytes_in: int
    bytes_out: int
    error: dict[str, float] | None

    @property
    def is_quantized(self) -> bool:
        """Whether the job quantized it."""
        return self.format is not None


class JobLayers(Sequence[LayerReport]):
    """The layers of a report, made when read: a checkpoint may have 100,000."""

    def __init__(
        self, job: _core.FileJob, formats: list[str], reason_of: Callable[[int], str | None]
    ) -> None:
        self._job = job
        self._formats = formats
        self._reason_of = reason_of

    def __len__(self) -> int:
        return len(self._job)

    @overload
    def __getitem__(self, index: int) -> LayerReport: ...
    @overload
    def __getitem__(self, index: slice) -> list[LayerReport]: ...
    def __getitem__(self, index: int | slice) -> LayerReport | list[LayerReport]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if index < 0:
            raise IndexError(index)
        name, choice, action, reason, shape, dtype, dtype_out, bytes_in, bytes_out, error = (
            self._job.tensor(index)
        )
        format_name = None if choice is None else self._formats[choice]
        if choice is None:
            reason = self._reason_of(self._job.source_index(index)) or reason
        return LayerReport(
            name, action, format_name, reason, shape, dtype, dtype_out, bytes_in, bytes_out, error
        )

    def __iter__(self) -> Iterator[LayerReport]:
        return (self[index] for index in range(len(self)))

    def __reduce__(self) -> tuple[type[list[LayerReport]], tuple[list[LayerReport]]]:
        # A copy needs no job.
        return list, (list(self),)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'layer')}>"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a file job did.

    Attributes
    ----------
    source, destination : str
        The two files, as the caller named them.
    files : list of str
        What was written: the destination, or its shards and their index.
    format : str or None
        The name of the format that was asked for; None when nothing was to be quantized.
    bytes_in, bytes_out : int
        Sizes of the files.
    seconds : float
        From the call to the finished file.
    layers : sequence of LayerReport
        Every tensor, in the order of the source.
    warnings : list of str
        What the caller should know.
    errors : dict of str to QuarrowError
        Of the layers that were left as they are with ``on_error="skip"``.
    metadata : dict of str to str
        Of the new file; in GGUF not all values are strings.
    dry_run : bool
        Whether this is the plan of a job, and no file was written.
    runtime : "comfyui" or "none"
        Whose loader decided what is quantized.
    refusal : str or None
        Why nothing was quantized or restored (or would be loaded so), so that the new file is a
        copy; and the remedy. The command line stops there, and writes none.
    """

    source: str
    destination: str
    files: list[str]
    format: str | None
    bytes_in: int
    bytes_out: int
    seconds: float
    layers: Sequence[LayerReport]
    warnings: list[str]
    metadata: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    dry_run: bool = False
    runtime: str = "none"
    refusal: str | None = None

    def __repr__(self) -> str:
        counts = Counter(layer.action for layer in self.layers)
        done = [f"{counts[action]} {action}" for action in ACTIONS if counts[action]]
        what = "" if self.format is None else f" {self.format}"
        return (
            f"<FileReport{what}: {', '.join(done) or 'nothing'} of "
            f"{counted(len(self.layers), 'tensor')}, "
            f"{self.bytes_in} -> {self.bytes_out} bytes in {self.seconds:.2f} s>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain objects that JSON can hold; NaN and Inf become None."""
        return {
            "source": self.source,
            "destination": self.destination,
            "files": list(self.files),
            "format": self.format,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "seconds": self.seconds,
            "layers": [_layer_dict(layer) for layer in self.layers],
            "warnings": list(self.warnings),
            "errors": {name: str(error) for name, error in self.errors.items()},
            "dry_run": self.dry_run,
            "runtime": self.runtime,
            "refusal": self.refusal,
        }


def _layer_dict(layer: LayerReport) -> dict[str, Any]:
    plain = asdict(layer)
    plain["shape"] = list(layer.shape)
    if layer.error is not None:
        plain["error"] = {
            key: value if math.isfinite(value) else None for key, value in layer.error.items()
        }
    return plain
