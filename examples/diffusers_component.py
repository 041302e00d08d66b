# SPDX-License-Identifier: Apache-2.0
"""A component of a diffusers pipeline, kept in 4 bits and restored when it is needed.

A ControlNet or UNet that waits for its turn takes a quarter of its memory as a quantized state
dict. ``python examples/diffusers_component.py`` does so with a small UNet of random weights and
prints sizes and how far the two outputs are from each other.
"""

import sys
from typing import Any

import diffusers
import quarrow
import torch

TINY_UNET = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
    "norm_num_groups": 8,
}


def pack(component: torch.nn.Module, format: str = "int4", **fields: Any) -> quarrow.StateDict:
    """Return the weights of a component, quantized; it may be deleted then."""
    return quarrow.quantize_state_dict(component.state_dict(), format, **fields)


def unpack(component: torch.nn.Module, packed: quarrow.StateDict) -> torch.nn.Module:
    """Put packed weights into a component of the same configuration."""
    component.load_state_dict(quarrow.dequantize_state_dict(packed))
    return component


def size_of(tensors: dict[str, torch.Tensor]) -> int:
    """Return the bytes of all tensors."""
    return sum(tensor.nbytes for tensor in tensors.values())


def main() -> int:
    """Pack a small UNet, restore it, and compare what both make of the same input."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(**TINY_UNET).eval()
    sample, text = torch.randn(1, 4, 16, 16), torch.randn(1, 7, 32)
    packed = pack(unet, "int4", group_size=32)
    restored = unpack(diffusers.UNet2DConditionModel(**TINY_UNET).eval(), packed)
    with torch.no_grad():
        before = unet(sample, 10, text).sample
        after = restored(sample, 10, text).sample
    noise = (after - before).norm() / before.norm()
    print(f"weights {size_of(unet.state_dict()):,} bytes, packed {size_of(packed):,}")
    print(f"the restored UNet's output differs by {noise:.1%} of its norm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
