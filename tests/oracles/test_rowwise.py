# SPDX-License-Identifier: Apache-2.0
"""int8_rowwise against comfy-kitchen, which is given the values as float32."""

import comfy_kitchen
import numpy as np
import pytest
import quarrow as qr
import torch
from comfy_kitchen.tensor.int8 import TensorWiseINT8Layout
from reference import Fields, quantize
from value_kinds import KINDS, values_of

DTYPES = ["float32", "float16", "bfloat16", "float64"]


def comfy_rowwise(w: torch.Tensor) -> tuple[object, object]:
    codes, scales = comfy_kitchen.quantize_int8_rowwise(w.float())
    return codes.numpy(), scales.numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 15, 64, 131, 1000])
def test_the_reference_is_comfy_kitchen(kind: str, columns: int) -> None:
    x = values_of(kind, (5, columns))
    codes, scales = comfy_rowwise(torch.from_numpy(x))
    stored = quantize(x, Fields.of("int8_rowwise"))
    np.testing.assert_array_equal(stored.codes, codes)
    np.testing.assert_array_equal(stored.scales, scales)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5, 1), (5, 131), (64, 1000), (3, 70_001)])
def test_the_engine_is_comfy_kitchen(kind: str, dtype: str, shape: tuple[int, int]) -> None:
    x = torch.from_numpy(values_of(kind, shape)).double()
    largest = torch.finfo(getattr(torch, dtype)).max
    w = x.clamp(-largest, largest).to(getattr(torch, dtype))
    codes, scales = comfy_rowwise(w)
    q = qr.quantize(w, "int8_rowwise")
    np.testing.assert_array_equal(q.codes, codes)
    np.testing.assert_array_equal(q.scales, scales)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_dequantize_is_the_layouts(dtype: str) -> None:
    q = qr.quantize(values_of("normal", (17, 131)), "int8_rowwise")
    params = TensorWiseINT8Layout.Params(
        scale=torch.from_numpy(q.scales), orig_dtype=getattr(torch, dtype), orig_shape=(17, 131)
    )
    theirs = TensorWiseINT8Layout.dequantize(torch.from_numpy(q.codes), params)
    unsigned = torch.uint32 if dtype == "float32" else torch.uint16
    ours = q.dequantize(dtype)
    np.testing.assert_array_equal(
        ours.view(np.uint32 if dtype == "float32" else np.uint16), theirs.view(unsigned).numpy()
    )


def test_the_layouts_own_quantizer_agrees() -> None:
    x = values_of("normal", (17, 131))
    codes, params = TensorWiseINT8Layout.quantize(torch.from_numpy(x), per_channel=True)
    q = qr.quantize(x, "int8_rowwise")
    np.testing.assert_array_equal(q.codes, codes.numpy())
    np.testing.assert_array_equal(q.scales, params.scale.numpy())
