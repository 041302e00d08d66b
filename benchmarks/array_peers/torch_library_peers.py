# SPDX-License-Identifier: Apache-2.0
"""Libraries on top of torch: torchao, quanto, hqq, bitsandbytes, comfy-kitchen."""

import importlib
from functools import partial
from typing import Any

from benchmarks.array_peers.peer import CHECKED_ROWS, ArrayPeer, check_restored, check_shape
from benchmarks.array_peers.torch_peers import check_fp8, check_rowwise, torch, with_threads
from benchmarks.fixtures import Array
from benchmarks.harness.case import Job


def _torchao(w: Array, threads: int, bits: int, width: int) -> Job:
    library = importlib.import_module("torchao.quantization.quant_primitives")
    x, byte, block = torch().from_numpy(w), torch().uint8, (1, width)
    last = (1 << bits) - 1

    def call() -> object:
        scales, zero_points = library.choose_qparams_affine(
            x, library.MappingType.ASYMMETRIC, block, byte, 0, last, eps=2.0**-126
        )
        codes = library.quantize_affine(x, block, scales, zero_points, byte, 0, last)
        return codes, scales, zero_points

    def verify(result: Any) -> None:
        check_shape(result[0], w.shape, "codes")
        codes, scales, zero_points = (each[:CHECKED_ROWS] for each in result)
        restored = library.dequantize_affine(codes, block, scales, zero_points, byte, 0, last)
        check_restored(restored.numpy(), w, group=width, bits=bits, most=0.51)

    return Job(with_threads(threads, call), verify)


def _torchao_int4(w: Array, threads: int) -> Job:
    return _torchao(w, threads, 4, 128)


def _torchao_int8(w: Array, threads: int) -> Job:
    return _torchao(w, threads, 8, w.shape[1])


def _quanto_int4(w: Array, threads: int) -> Job:
    library = importlib.import_module("optimum.quanto")
    x, qint4, ranges = torch().from_numpy(w), library.qint4, library.MaxOptimizer()

    def call() -> object:
        scales, shifts = ranges(x, qint4, 0, 128)
        return library.quantize_weight(x, qint4, 0, scales, shifts, group_size=128, optimized=False)

    def verify(result: Any) -> None:
        check_shape(result, w.shape, "tensor")
        # Its dequantize builds a C++ extension first, in the installed package: by hand instead.
        # The first half of the groups is in the low bits.
        groups = slice(CHECKED_ROWS)
        codes = result._data._data[groups] & 15
        restored = codes * result._scale[groups] - result._shift[groups]
        check_restored(restored.numpy(), w[: CHECKED_ROWS // 8], group=128, bits=4, most=0.51)

    return Job(with_threads(threads, call), verify)


def _quanto_int8(w: Array, threads: int) -> Job:
    library = importlib.import_module("optimum.quanto")
    x, qint8, ranges = torch().from_numpy(w), library.qint8, library.AbsmaxOptimizer()

    def call() -> object:
        return library.quantize_weight(x, qint8, 0, ranges(x, qint8, 0), optimized=False)

    def verify(result: Any) -> None:
        check_shape(result, w.shape, "tensor")
        restored = result.dequantize()[:CHECKED_ROWS].numpy()
        check_restored(restored, w, group=w.shape[1], bits=8, most=0.51, symmetric=True)

    return Job(with_threads(threads, call), verify)


def _hqq(w: Array, threads: int) -> Job:
    library = importlib.import_module("hqq.core.quantize").Quantizer
    x = torch().from_numpy(w)

    def call() -> object:
        return library.quantize(
            x, nbits=4, group_size=128, axis=1, device="cpu", compute_dtype=torch().float32
        )

    def verify(result: Any) -> None:
        codes, fields = result
        check_shape(codes.view(-1), (w.size // 2,), "codes")
        restored = library.dequantize(codes, fields)
        # It looks for a smaller error of all values, for which outer ones may be cut off.
        check_restored(restored[:CHECKED_ROWS].float().numpy(), w, group=128, bits=4, most=3.0)

    return Job(with_threads(threads, call), verify)


def _bitsandbytes_nf4(w: Array, threads: int) -> Job:
    library = importlib.import_module("bitsandbytes.functional")
    x = torch().from_numpy(w)

    def call() -> object:
        return library.quantize_4bit(x, blocksize=64, quant_type="nf4")

    def verify(result: Any) -> None:
        codes, state = result
        check_shape(codes.view(-1), (w.size // 2,), "codes")
        restored = library.dequantize_4bit(codes, state)[:CHECKED_ROWS].numpy()
        # The widest gap between two values of nf4 is 0.304 of the largest magnitude.
        check_restored(restored, w, group=64, bits=4, most=1.15, symmetric=True)

    return Job(with_threads(threads, call), verify)


def _bitsandbytes_blockwise(w: Array, threads: int) -> Job:
    library = importlib.import_module("bitsandbytes.functional")
    x = torch().from_numpy(w)

    def verify(result: Any) -> None:
        codes, state = result
        check_shape(codes, w.shape, "codes")
        restored = library.dequantize_blockwise(codes, state)[:CHECKED_ROWS].numpy()
        check_restored(restored, w, group=4096, bits=8, most=1.0, symmetric=True)

    call = with_threads(threads, lambda: library.quantize_blockwise(x, blocksize=4096))
    return Job(call, verify)


def _bitsandbytes_rowwise(w: Array, threads: int) -> Job:
    library = importlib.import_module("bitsandbytes.functional")
    x = torch().from_numpy(w)

    def verify(result: Any) -> None:
        codes, largest, _ = result
        check_rowwise((codes, largest / 127), w)

    return Job(with_threads(threads, lambda: library.int8_vectorwise_quant(x)), verify)


def _comfy_kitchen_rowwise(w: Array, threads: int) -> Job:
    library = importlib.import_module("comfy_kitchen")
    x = torch().from_numpy(w)
    call = with_threads(threads, lambda: library.quantize_int8_rowwise(x))
    return Job(call, partial(check_rowwise, w=w))


def _comfy_kitchen_fp8(w: Array, threads: int) -> Job:
    library = importlib.import_module("comfy_kitchen")
    x = torch().from_numpy(w)

    def call() -> object:
        scale = x.abs().amax().div_(448)
        return library.quantize_per_tensor_fp8(x, scale, torch().float8_e4m3fn), scale

    return Job(with_threads(threads, call), partial(check_fp8, w=w))


PEERS = (
    ArrayPeer(
        id="torchao_int4",
        title="torchao, affine int4 in groups of 128, a byte for each code",
        package="torchao",
        needs=("torch", "torchao"),
        job="int4",
        way=_torchao_int4,
        seconds_per_mb=0.003,
    ),
    ArrayPeer(
        id="torchao_int8",
        title="torchao, affine int8 per row",
        package="torchao",
        needs=("torch", "torchao"),
        job="int8",
        way=_torchao_int8,
        seconds_per_mb=0.002,
    ),
    ArrayPeer(
        id="quanto_int4",
        title="quanto, qint4 in groups of 128, float shifts",
        package="optimum-quanto",
        needs=("torch", "optimum.quanto"),
        job="int4",
        way=_quanto_int4,
        seconds_per_mb=0.003,
    ),
    ArrayPeer(
        id="quanto_int8_rowwise",
        title="quanto, qint8 per row, symmetric",
        package="optimum-quanto",
        needs=("torch", "optimum.quanto"),
        job="int8_rowwise",
        way=_quanto_int8,
        seconds_per_mb=0.002,
    ),
    ArrayPeer(
        id="hqq_int4",
        title="hqq, 4 bit in groups of 128, with its search for better zeros",
        package="hqq",
        needs=("torch", "hqq"),
        job="int4",
        way=_hqq,
        seconds_per_mb=0.15,
    ),
    ArrayPeer(
        id="bitsandbytes_nf4",
        title="bitsandbytes, nf4 in blocks of 64",
        package="bitsandbytes",
        needs=("torch", "bitsandbytes"),
        job="nf4",
        way=_bitsandbytes_nf4,
        seconds_per_mb=0.01,
    ),
    ArrayPeer(
        id="bitsandbytes_int8_blockwise",
        title="bitsandbytes, its 8 bit code in blocks of 4096",
        package="bitsandbytes",
        needs=("torch", "bitsandbytes"),
        job="int8_blockwise",
        way=_bitsandbytes_blockwise,
        seconds_per_mb=0.003,
    ),
    ArrayPeer(
        id="bitsandbytes_int8_rowwise",
        title="bitsandbytes, LLM.int8 vector-wise",
        package="bitsandbytes",
        needs=("torch", "bitsandbytes"),
        job="int8_rowwise",
        way=_bitsandbytes_rowwise,
        seconds_per_mb=0.002,
    ),
    ArrayPeer(
        id="comfy_kitchen_int8_rowwise",
        title="comfy-kitchen, int8_rowwise",
        package="comfy-kitchen",
        needs=("torch", "comfy_kitchen"),
        job="int8_rowwise",
        way=_comfy_kitchen_rowwise,
        seconds_per_mb=0.002,
    ),
    ArrayPeer(
        id="comfy_kitchen_fp8",
        title="comfy-kitchen, fp8 e4m3, one scale",
        package="comfy-kitchen",
        needs=("torch", "comfy_kitchen"),
        job="fp8_e4m3",
        way=_comfy_kitchen_fp8,
        seconds_per_mb=0.001,
    ),
)
