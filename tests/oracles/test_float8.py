# SPDX-License-Identifier: Apache-2.0
"""fp8_e4m3 and fp8_e5m2 against torch's and ml_dtypes' casts, and comfy-kitchen on float32."""

from pathlib import Path

import comfy_kitchen
import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
import torch
from reference import quantize_float8
from safetensors.torch import load_file
from value_kinds import KINDS, values_of

TORCH = {"fp8_e4m3": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2}
ML = {"fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}
# Scales of values so small are 2^-126, where comfy-kitchen divides by a subnormal number.
TINY = {"denormal", "least_normal", "half_subnormal_scales"}


@pytest.mark.parametrize("format_", TORCH)
def test_every_pattern_is_cast_as_torch_and_ml_dtypes_cast_it(format_: str) -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    largest = float(torch.finfo(TORCH[format_]).max)
    for dtype in (torch.float16, torch.bfloat16):
        w = torch.from_numpy(patterns.view(np.int16)).view(dtype)
        w = w[torch.isfinite(w)].reshape(-1, 64).clamp(-largest, largest)
        ours = qr.quantize(w, format_, scaled=False).codes.view(np.uint8)
        np.testing.assert_array_equal(ours, w.to(TORCH[format_]).view(torch.uint8).numpy())
        theirs = w.float().numpy().astype(ML[format_])
        np.testing.assert_array_equal(ours, theirs.view(np.uint8))


@pytest.mark.parametrize("format_", TORCH)
def test_random_float32_are_cast_as_torch_casts_them(format_: str) -> None:
    generator = np.random.default_rng(7)
    x = generator.integers(0, 1 << 32, 1 << 20, dtype=np.uint64).astype(np.uint32).view(np.float32)
    largest = np.float32(torch.finfo(TORCH[format_]).max)
    x = np.clip(x[np.isfinite(x)], -largest, largest)
    ours = qr.quantize(x, format_, scaled=False).codes.view(np.uint8)[0]
    np.testing.assert_array_equal(
        ours, torch.from_numpy(x).to(TORCH[format_]).view(torch.uint8).numpy()
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", sorted(set(KINDS) - TINY))
@pytest.mark.parametrize("format_", TORCH)
def test_scaled_is_comfy_kitchen_on_float32(format_: str, kind: str, dtype: str) -> None:
    largest = torch.finfo(getattr(torch, dtype)).max
    w = torch.from_numpy(values_of(kind, (64, 257))).double()
    w = w.clamp(-largest, largest).to(getattr(torch, dtype))
    q = qr.quantize(w, format_)
    assert q.tensor_scale is not None
    reach = w.float().abs().max()
    if reach == 0:
        assert q.tensor_scale == 1
        assert not q.codes.view(np.uint8).any() or kind == "zero"
        return
    scale = reach / torch.finfo(TORCH[format_]).max
    assert q.tensor_scale.tobytes() == scale.numpy().tobytes()
    theirs = comfy_kitchen.quantize_per_tensor_fp8(w.float(), scale, TORCH[format_])
    np.testing.assert_array_equal(q.codes.view(np.uint8), theirs.view(torch.uint8).numpy())


@pytest.mark.parametrize("format_", TORCH)
def test_the_reference_is_torchs_cast(format_: str) -> None:
    x = values_of("mixed_magnitudes", (64, 257))
    largest = float(torch.finfo(TORCH[format_]).max)
    codes, _ = quantize_float8(x, format_, scaled=False)
    theirs = torch.from_numpy(x).clamp(-largest, largest).to(TORCH[format_])
    np.testing.assert_array_equal(codes, theirs.view(torch.uint8).numpy())


@pytest.mark.parametrize("format_", TORCH)
def test_files_are_read_by_torch(tmp_path: Path, format_: str) -> None:
    w = torch.from_numpy(values_of("normal", (64, 256)))
    out = tmp_path / "out.safetensors"
    qr.save({"a.weight": qr.quantize(w, format_)}, out)
    stored = load_file(out)
    assert stored["a.weight"].dtype == TORCH[format_]
    assert stored["a.weight_scale"].shape == ()
    values = stored["a.weight"].float() * stored["a.weight_scale"]
    np.testing.assert_array_equal(values.numpy(), qr.quantize(w, format_).dequantize())
