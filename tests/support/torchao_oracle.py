# SPDX-License-Identifier: Apache-2.0
"""torchao's affine quantization of a float32 matrix, arranged as ours."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from reference import Fields
from torchao.quantization.quant_primitives import (
    MappingType,
    choose_qparams_affine,
    dequantize_affine,
    quantize_affine,
)

SMALLEST_SCALE = 2.0**-126


@dataclass
class TorchaoResult:
    codes: NDArray[np.int16]
    """[rows, columns], not packed, in our code range."""
    scales: NDArray[np.float32]
    """[rows, groups]."""
    zero_points: NDArray[np.int16]
    values: dict[str, torch.Tensor]
    """What the codes stand for, by torchao's own dequantize: [rows, columns] by dtype name."""

    def beside(self, other: "TorchaoResult") -> "TorchaoResult":
        return TorchaoResult(
            np.concatenate([self.codes, other.codes], axis=1),
            np.concatenate([self.scales, other.scales], axis=1),
            np.concatenate([self.zero_points, other.zero_points], axis=1),
            {name: torch.cat([part, other.values[name]], 1) for name, part in self.values.items()},
        )


def torchao_quantize(x: torch.Tensor, fields: Fields) -> TorchaoResult:
    """Quantize [rows, columns] of float32, the short last group as a tensor of its own."""
    rows, cols = x.shape
    if fields.group_size == "tensor":
        return _quantize_blocks(x, (rows, cols), fields)
    width = cols if fields.group_size == "row" else min(int(fields.group_size), cols)
    whole = cols // width * width
    result = _quantize_blocks(x[:, :whole].contiguous(), (1, width), fields)
    if whole < cols:
        tail = _quantize_blocks(x[:, whole:].contiguous(), (1, cols - whole), fields)
        result = result.beside(tail)
    return result


def _quantize_blocks(x: torch.Tensor, block: tuple[int, int], fields: Fields) -> TorchaoResult:
    if block == (1, 1):
        # torchao reduces over the whole tensor when a block has one element. A zero beside each
        # element changes no range, for every range includes zero.
        padded = torch.stack([x, torch.zeros_like(x)], 2).reshape(x.shape[0], -1)
        pairs = _quantize_blocks(padded, (1, 2), fields)
        values = {name: part[:, ::2] for name, part in pairs.values.items()}
        return TorchaoResult(pairs.codes[:, ::2], pairs.scales, pairs.zero_points, values)
    lowest = -(1 << (fields.bits - 1))
    highest = -lowest - 1
    scale, zero_point = choose_qparams_affine(
        x,
        MappingType.SYMMETRIC if fields.symmetric else MappingType.ASYMMETRIC,
        block,
        torch.int8,
        lowest,
        highest,
        eps=SMALLEST_SCALE,
        scale_dtype=getattr(torch, fields.scale_dtype),
    )
    codes = quantize_affine(x, block, scale, zero_point, torch.int8, lowest, highest)
    values = {
        name: dequantize_affine(
            codes,
            block,
            scale,
            zero_point,
            torch.int8,
            lowest,
            highest,
            output_dtype=getattr(torch, name),
        )
        for name in ("float32", "float16", "bfloat16")
    }
    shift = 0 if fields.symmetric else -lowest
    shape = (x.shape[0] // block[0], x.shape[1] // block[1])
    return TorchaoResult(
        codes.numpy().astype(np.int16) + shift,
        scale.float().numpy().reshape(shape),
        zero_point.numpy().astype(np.int16).reshape(shape) + shift,
        values,
    )
