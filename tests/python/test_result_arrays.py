# SPDX-License-Identifier: Apache-2.0
"""The numpy arrays of results: what they are, and whose memory they lie in."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from batch_layers import weights
from numpy.typing import NDArray

Arrays = list[NDArray[Any]]
OWN_MEMORY_FROM = 4 << 20  # bytes of codes

DTYPES = [
    ("int8", {}, (np.uint8, np.float32, np.uint8)),
    ("int8", {"symmetric": True}, (np.int8, np.float32, None)),
    ("int8_rowwise", {}, (np.int8, np.float32, None)),
    ("int4", {}, (np.uint8, np.float32, np.uint8)),
    ("int4", {"scale_dtype": "float16"}, (np.uint8, np.float16, np.uint8)),
    ("int2", {"scale_dtype": "bfloat16"}, (np.uint8, np.float32, np.uint8)),
]


def arrays_of(q: qr.QuantizedTensor) -> Arrays:
    return [array for array in (q.codes, q.scales, q.zero_points) if array is not None]


def bases(tensors: Iterable[qr.QuantizedTensor]) -> set[int]:
    return {id(array.base) for q in tensors for array in arrays_of(q)}


@pytest.mark.parametrize(("format", "fields", "dtypes"), DTYPES)
def test_they_are_plain_arrays_of_the_stored_dtypes(
    format: str,
    fields: dict[str, Any],
    dtypes: tuple[type | None, ...],
) -> None:
    w = weights(3, 300)
    half_scales = fields.get("scale_dtype") == "float16"
    for q in (
        qr.quantize(w, format, **fields),
        qr.quantize_batch({"a": w, "b": w}, format, **fields)["b"],
    ):
        for name, dtype in zip(("codes", "scales", "zero_points"), dtypes, strict=True):
            array = getattr(q, name)
            if dtype is None:
                assert array is None
                continue
            assert type(array) is np.ndarray
            assert array.dtype == dtype
            assert array.dtype.isnative
            assert array.ndim == 2
            assert array.flags.c_contiguous
            assert array.flags.aligned
            is_copy = name == "scales" and half_scales
            assert array.flags.writeable is not is_copy
            assert array.flags.owndata is is_copy


def test_the_arrays_of_a_tensor_have_one_base() -> None:
    first, second = qr.quantize(weights(4, 256), "int4"), qr.quantize(weights(4, 256), "int4")
    assert first.codes.base is not None
    assert first.codes.base is first.scales.base
    assert first.zero_points is not None
    assert first.codes.base is first.zero_points.base
    assert len(bases([first, second])) == 2
    assert len(bases([first, first.copy()])) == 2


def test_the_arrays_of_layers_that_share_memory_have_one_base() -> None:
    layers = {f"l{i}": weights(4, 256, seed=i) for i in range(300)}
    result = qr.quantize_batch(layers, "int4", rules=[("l1", "int8"), ("l2", "int2")])
    assert len(bases(result.values())) == 1


def test_a_large_layer_has_a_base_of_its_own() -> None:
    large = np.zeros((1, OWN_MEMORY_FROM), np.float16)
    layers = {"a": weights(4, 256), "large": large, "b": weights(4, 256), "larger": large}
    result = qr.quantize_batch(layers, "int8_rowwise")
    assert result["a"].codes.base is result["b"].scales.base
    assert len(bases(result.values())) == 3


def test_values_restored_have_the_dtype_asked_for_and_a_base() -> None:
    w = weights(2, 3, 4)
    q = qr.quantize(w, "int8")
    for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
        values = q.dequantize(np.dtype(dtype).name)
        assert type(values) is np.ndarray
        assert (values.dtype, values.shape) == (np.dtype(dtype), w.shape)
        assert values.flags.writeable
        assert values.flags.c_contiguous
        assert not isinstance(values.base, np.ndarray)


def test_every_tensor_of_a_batch_is_there_once() -> None:
    result = qr.quantize_batch({"a": weights(2, 4), "b": weights(2, 4)}, "int8")
    assert [result[name] for name in result] == list(result.values())
    assert all(result[name] is q for name, q in result.items())
    view: Any = result.items()
    with pytest.raises(TypeError):
        view.mapping["a"] = result["b"]
    _, (tensors, _) = result.__reduce__()
    tensors.clear()
    assert len(result) == 2


def test_the_attributes_are_read_only_and_documented() -> None:
    q: Any = qr.quantize(weights(2, 4), "int8")
    for name in ("codes", "scales", "zero_points"):
        attribute = vars(qr.QuantizedTensor)[name]
        assert attribute is getattr(qr.QuantizedTensor, name)
        assert "uint8" in attribute.__doc__ or "float32" in attribute.__doc__
        with pytest.raises(AttributeError, match="no setter"):
            setattr(q, name, None)
        with pytest.raises(AttributeError, match="no deleter"):
            delattr(q, name)
        with pytest.raises(TypeError):
            attribute.__get__(qr.Format("int8"), None)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_tensor_that_was_never_made_has_no_arrays() -> None:
    made: Any = qr.QuantizedTensor.__new__(qr.QuantizedTensor)
    with pytest.raises(TypeError):
        _ = made.codes


class Subclass(np.ndarray[Any, Any]):
    pass


@pytest.mark.parametrize(
    "given",
    [
        lambda w: w.view(Subclass),
        lambda w: w.astype(">f4"),
        lambda w: (
            np.frombuffer(b"\0" + w.tobytes(), np.uint8)[1:].view(np.float32).reshape(w.shape)
        ),
    ],
    ids=["subclass", "swapped", "unaligned"],
)
def test_arrays_that_are_no_plain_ones_are_read_too(given: Any) -> None:
    w = weights(4, 256)
    assert qr.quantize(given(w), "int4", copy=True) == qr.quantize(w, "int4")


@pytest.mark.parametrize(
    "hidden",
    [
        ("numpy",),
        ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"),
    ],
    ids=["all of it", "its C interface"],
)
def test_without_numpy_the_import_fails_as_an_import(hidden: tuple[str, ...]) -> None:
    script = f"""
import sys
if {hidden!r} != ("numpy",):
    import numpy
for name in {hidden!r}:
    sys.modules[name] = None
try:
    import quarrow
except ImportError as error:
    print("ImportError")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == "ImportError\n", done.stderr
