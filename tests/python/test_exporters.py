# SPDX-License-Identifier: Apache-2.0
"""Exporters that fail or lie: their own error where it is typed, else one that names the layer."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from dlpack_producer import DlpackProducer
from numpy.typing import NDArray
from safetensors.numpy import save_file


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


class Fails:
    """Has the protocol ``method``, and raises ``error`` there."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __dlpack_device__(self) -> Any:
        return 1, 0

    def _raise(self, *_arguments: Any, **_options: Any) -> Any:
        raise self._error


class FailsAsDlpack(Fails):
    __dlpack__ = Fails._raise


class FailsAsArray(Fails):
    __array__ = Fails._raise

    def __dlpack_device__(self) -> Any:
        return self._raise()


class FailsAsBuffer(Fails):
    __buffer__ = Fails._raise


ENTRIES: dict[str, Callable[[Any], object]] = {
    "quantize": lambda w: qr.quantize(w, "int4", name="x"),
    "quantize with copy": lambda w: qr.quantize(w, "int4", name="x", copy=True),
    "quantize_batch": lambda w: qr.quantize_batch({"x": w}, "int4"),
    "error": lambda w: qr.quantize(weights(2, 8), "int4", name="x").error(w),
}
EXPORTERS = [FailsAsDlpack, FailsAsArray]
if sys.version_info >= (3, 12):
    EXPORTERS.append(FailsAsBuffer)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"), FileNotFoundError(2, "gone"), MemoryError(),
        qr.CheckpointError("cut short", name="y"), KeyboardInterrupt(),
    ],
    ids=repr,
)  # fmt: skip
def test_what_an_exporter_met_is_passed_on(
    entry: str, exporter: type[Fails], error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        ENTRIES[entry](exporter(error))
    assert caught.value is error


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize(
    "error", [BufferError("no"), TypeError("no"), RuntimeError("no"), ZeroDivisionError("no")],
    ids=repr,
)  # fmt: skip
def test_what_an_exporter_refuses_is_no_tensor(
    entry: str, exporter: type[Fails], error: BaseException
) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"'x': got {exporter.__name__}") as caught:
        ENTRIES[entry](exporter(error))
    assert caught.value.name == "x"


@pytest.mark.parametrize("io", ["read", "mmap"])
def test_a_tensor_of_a_file_that_was_cut_short_says_so(io: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a.weight": weights(64, 128)}, path)
    with qr.open(path, io=io) as checkpoint:
        tensor = checkpoint["a.weight"]
        os.truncate(path, path.stat().st_size - 4096)
        for call in ENTRIES.values():
            with pytest.raises(
                qr.CheckpointError, match=r"model\.safetensors'.* while it was read"
            ):
                call(tensor)
        skipped = qr.quantize_batch({"a": tensor, "b": weights(2, 8)}, "int4", on_error="skip")
        assert isinstance(skipped.errors["a"], qr.CheckpointError)
        assert list(skipped) == ["b"]


# DLPack as the specification lays it down, and what is not.


def test_versions_before_the_first_and_of_it_are_read() -> None:
    w = weights(4, 32)
    for version in (None, (1, 0), (1, 1), (1, 99)):
        producer = DlpackProducer(w, (4, 32), version=version)
        assert qr.quantize(producer, "int4") == qr.quantize(w, "int4")
        assert producer.deleted == 1


@pytest.mark.parametrize("version", [(0, 8), (2, 0), (3, 1), (2**32 - 1, 0)])
@pytest.mark.parametrize("entry", ENTRIES)
def test_another_major_version_is_refused(version: tuple[int, int], entry: str) -> None:
    producer = DlpackProducer(weights(2, 8), (2, 8), version=version)
    with pytest.raises(
        qr.InvalidInputError,
        match=rf"^layer 'x': the tensor is exported as DLPack {version[0]}\.{version[1]}, and only",
    ):
        ENTRIES[entry](producer)
    with pytest.raises(qr.InvalidInputError, match="only version 1 can be read"):
        qr.quantize(producer.__dlpack__(), "int4")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": (2, -8)}, r"has the shape \(2, -8\)"),
        ({"shape": (0, 2**62, 2**62)}, r"\(0, 4611686018427387904, 4611686018427387904\) is"),
        ({"shape": (2**62, 2**62)}, "is too large"),
        ({"shape": (2, 8), "ndim": -1}, "has no shape"),
        ({"shape": (2, 8), "strides": (2**62, 1)}, "strides of the DLPack tensor do not fit"),
        ({"shape": (2, 8), "strides": (8, 2)}, "not contiguous within its rows"),
        ({"shape": ()}, "0-d"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", [None, (1, 0)])
def test_shapes_and_strides_that_cannot_be_are_refused(
    options: dict[str, Any], said: str, version: tuple[int, int] | None
) -> None:
    producer = DlpackProducer(weights(2, 16), **options, version=version)
    with pytest.raises(qr.InvalidInputError, match=f"^layer 'x': .*{said}"):
        qr.quantize(producer, "int4", name="x")


def test_values_may_lie_anywhere_and_rows_backwards() -> None:
    w = weights(4, 32)
    memory = np.zeros(4 * 32 * 4 + 3, np.uint8)
    memory[3:] = w.view(np.uint8).ravel()
    unaligned = DlpackProducer(memory[:512].view(np.float32), (4, 32), offset=3)
    assert qr.quantize(unaligned, "int4") == qr.quantize(w, "int4")
    backwards = DlpackProducer(w, (4, 32), strides=(-32, 1), offset=3 * 32 * 4)
    assert qr.quantize(backwards, "int4") == qr.quantize(w[::-1], "int4")
