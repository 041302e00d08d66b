# SPDX-License-Identifier: Apache-2.0
"""torch itself (its eager operations, FBGEMM's row-wise quantizers) and libraries over it."""

import importlib
from functools import partial
from typing import Any

import numpy as np

from benchmarks.array_peers.peer import (
    Head,
    Peer,
    Way,
    check_fp8,
    restore_affine,
    restore_packed,
    restore_rowwise,
    steps,
)
from benchmarks.fixtures import Array, torch


def _tensor(w: Array, width: int = 0) -> Any:
    return torch().from_numpy(w).view(-1, width or w.shape[1])


def eager_affine(x: Any, bits: int) -> tuple[Any, Any, Any]:
    """Return codes, scales and zero points of the rows of a tensor; 4-bit codes are packed."""
    last = (1 << bits) - 1
    low, high = torch().aminmax(x, dim=-1, keepdim=True)
    low, high = low.clamp_(max=0), high.clamp_(min=0)
    scales = high.sub_(low).div_(last).clamp_(min=2.0**-126)
    zero_points = low.div_(scales).round_().neg_().clamp_(0, last)
    codes = (x * scales.reciprocal()).round_().add_(zero_points).clamp_(0, last).to(torch().uint8)
    if bits == 4:
        codes = codes[:, 1::2].bitwise_left_shift(4).bitwise_or_(codes[:, ::2])
    return codes, scales, zero_points


def eager_rowwise(x: Any) -> tuple[Any, Any]:
    scales = x.abs().amax(1, keepdim=True).div_(127).clamp_(min=1e-30)
    return (x / scales).round_().clamp_(-128, 127).to(torch().int8), scales


def _eager_fp8(x: Any) -> tuple[Any, Any]:
    scale = x.abs().amax().div_(448)
    return (x / scale).clamp_(-448, 448).to(torch().float8_e4m3fn), scale


def _fbgemm(w: Array, name: str, width: int = 0) -> Way:
    operations = torch().ops.quantized
    # Looked up once: a small call takes little longer than that.
    prepack = getattr(operations, f"embedding_bag_{name}_prepack")
    unpack = getattr(operations, f"embedding_bag_{name}_unpack")
    return partial(prepack, _tensor(w, width)), lambda packed, head: unpack(head(packed))


def _torchao(w: Array, bits: int, width: int = 0) -> Way:
    library = importlib.import_module("torchao.quantization.quant_primitives")
    x, byte, block = _tensor(w), torch().uint8, (1, width or w.shape[1])
    last = (1 << bits) - 1

    def call() -> object:
        scales, zero_points = library.choose_qparams_affine(
            x, library.MappingType.ASYMMETRIC, block, byte, 0, last, eps=2.0**-126
        )
        codes = library.quantize_affine(x, block, scales, zero_points, byte, 0, last)
        return codes, scales, zero_points

    def restore(result: Any, head: Head) -> Any:
        codes, scales, zero_points = (np.asarray(head(each), np.float32) for each in result)
        groups = codes.reshape(scales.size, -1)
        return (groups - zero_points.reshape(-1, 1)) * scales.reshape(-1, 1)

    return call, restore


def _quanto_int4(w: Array) -> Way:
    library = importlib.import_module("optimum.quanto")
    x, qint4, ranges = _tensor(w), library.qint4, library.MaxOptimizer()

    def call() -> object:
        scales, shifts = ranges(x, qint4, 0, 128)
        made = library.quantize_weight(x, qint4, 0, scales, shifts, group_size=128, optimized=False)
        return made._data._data, made._scale, made._shift

    def restore(result: Any, head: Head) -> Any:
        # Its dequantize builds a C++ extension first, in the installed package: by hand instead.
        # The first half of the groups is in the low bits.
        codes, scales, shifts = (head(each) for each in result)
        return (codes & 15) * scales[: len(codes)] - shifts[: len(codes)]

    return call, restore


def _quanto_int8(w: Array) -> Way:
    library = importlib.import_module("optimum.quanto")
    x, qint8, ranges = _tensor(w), library.qint8, library.AbsmaxOptimizer()

    def call() -> object:
        made = library.quantize_weight(x, qint8, 0, ranges(x, qint8, 0), optimized=False)
        return made._data, made._scale

    return call, restore_rowwise


def _hqq(w: Array) -> Way:
    library = importlib.import_module("hqq.core.quantize").Quantizer
    how = {"nbits": 4, "group_size": 128, "axis": 1, "device": "cpu"}
    call = partial(library.quantize, _tensor(w), **how, compute_dtype=torch().float32)
    return call, lambda result, head: head(library.dequantize(*result)).float()


def _bitsandbytes(w: Array, kind: str, **how: Any) -> Way:
    library = importlib.import_module("bitsandbytes.functional")
    restore = getattr(library, f"dequantize_{kind}")
    call = partial(getattr(library, f"quantize_{kind}"), _tensor(w), **how)
    return call, lambda result, head: head(restore(*result))


def _bitsandbytes_rowwise(w: Array) -> Way:
    library = importlib.import_module("bitsandbytes.functional")
    return (
        partial(library.int8_vectorwise_quant, _tensor(w)),
        lambda result, head: restore_rowwise((result[0], result[1] / 127), head),
    )


def _comfy_kitchen(w: Array) -> Way:
    library = importlib.import_module("comfy_kitchen")
    return partial(library.quantize_int8_rowwise, _tensor(w)), restore_rowwise


def _comfy_kitchen_fp8(w: Array) -> Way:
    library, x = importlib.import_module("comfy_kitchen"), _tensor(w)

    def call() -> object:
        scale = x.abs().amax().div_(448)
        return library.quantize_per_tensor_fp8(x, scale, torch().float8_e4m3fn), scale

    return call, _restore_fp8


def _restore_fp8(result: Any, head: Head) -> Any:
    codes, scale = result
    return head(codes).float() * scale


INT4, INT8 = steps(128, 4, 0.51), steps(0, 8, 0.51)
ROWWISE = steps(0, 8, 0.51, symmetric=True)
# fmt: off
PEERS = (
    Peer("fbgemm_int4", "torch", "FBGEMM",
         "in torch, 4 bit in rows of 128, float16 scale and bias in the row", "int4",
         # The two are rounded to float16.
         partial(_fbgemm, name="4bit", width=128), steps(128, 4, 0.55), 68 / 128, 0.0001,
         one_thread=True),
    Peer("fbgemm_int8", "torch", "FBGEMM",
         "in torch, 8 bit per row, float32 scale and bias in the row", "int8",
         partial(_fbgemm, name="byte"), INT8, 1032 / 1024, 0.0001, one_thread=True),
    Peer("torch_eager_int4", "torch", "torch eager", "int4 in groups of 128, packed", "int4",
         lambda w: (partial(eager_affine, _tensor(w, 128), 4), restore_packed), INT4, 0.5, 0.002),
    Peer("torch_eager_int8", "torch", "torch eager", "int8 per row", "int8",
         lambda w: (partial(eager_affine, _tensor(w), 8), restore_affine), INT8, 1, 0.001),
    Peer("torch_eager_int8_rowwise", "torch", "torch eager", "int8_rowwise", "int8_rowwise",
         lambda w: (partial(eager_rowwise, _tensor(w)), restore_rowwise), ROWWISE, 1, 0.001,
         one_thread=True),
    Peer("torch_eager_fp8", "torch", "torch eager", "fp8 e4m3, one scale", "fp8_e4m3",
         lambda w: (partial(_eager_fp8, _tensor(w)), _restore_fp8), check_fp8, 1, 0.001),
    Peer("torchao_int4", "torchao", "torchao",
         "affine int4 in groups of 128, a byte for each code", "int4",
         partial(_torchao, bits=4, width=128), INT4, 1, 0.003),
    Peer("torchao_int8", "torchao", "torchao", "affine int8 per row", "int8",
         partial(_torchao, bits=8), INT8, 1, 0.002),
    Peer("quanto_int4", "optimum-quanto", "quanto", "qint4 in groups of 128, float shifts", "int4",
         _quanto_int4, INT4, 0.5, 0.003, charted=False),
    Peer("quanto_int8_rowwise", "optimum-quanto", "quanto", "qint8 per row, symmetric",
         "int8_rowwise", _quanto_int8, ROWWISE, 1, 0.002),
    Peer("hqq_int4", "hqq", "hqq", "4 bit in groups of 128, with its search for better zeros",
         # It looks for a smaller error of all values, for which outer ones may be cut off.
         "int4", _hqq, steps(128, 4, 3.0), 0.5, 0.15, charted=False),
    Peer("bitsandbytes_nf4", "bitsandbytes", "bitsandbytes", "nf4 in blocks of 64", "nf4",
         partial(_bitsandbytes, kind="4bit", blocksize=64, quant_type="nf4"),
         # The widest gap between two values of nf4 is 0.304 of the largest magnitude.
         steps(64, 4, 1.15, symmetric=True), 0.5, 0.01),
    Peer("bitsandbytes_int8_blockwise", "bitsandbytes", "bitsandbytes",
         "its 8 bit code in blocks of 4096", "blockwise",
         partial(_bitsandbytes, kind="blockwise", blocksize=4096),
         steps(4096, 8, 1.0, symmetric=True), 1, 0.003),
    Peer("bitsandbytes_int8_rowwise", "bitsandbytes", "bitsandbytes", "LLM.int8 vector-wise",
         "int8_rowwise", _bitsandbytes_rowwise, ROWWISE, 1, 0.002),
    Peer("comfy_kitchen_int8_rowwise", "comfy-kitchen", "comfy-kitchen", "int8_rowwise",
         "int8_rowwise", _comfy_kitchen, ROWWISE, 1, 0.002),
    Peer("comfy_kitchen_fp8", "comfy-kitchen", "comfy-kitchen", "fp8 e4m3, one scale", "fp8_e4m3",
         _comfy_kitchen_fp8, check_fp8, 1, 0.001),
)
# fmt: on
