# SPDX-License-Identifier: Apache-2.0
"""Seeded synthetic values of one tensor, as the bytes of its dtype.

Each tensor has its own PCG64 stream seeded from SHA-256(seed, name), and no libm call decides a
stored bit: the bytes are the same on any machine.

A fill rule has "match" (a regular expression on the name), optionally "ndim", and a "kind":
  weight     N(0, std), one scale per row (log-spread row_spread), a share
             outlier_frac of the elements multiplied by outlier_scale
  lora_down  weight with std = 1/sqrt(3 fan_in): the spread of a Kaiming-uniform init
  normal     N(mean, std)
  positive   |N(mean, std)|
  const      value
  nan        weight with a share nan_frac of the elements (at least one) set to NaN
  arange     0, 1, 2, ... along the last axis
"""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rule = dict[str, Any]

FLOAT_BITS = {"F8_E4M3": 8, "F8_E5M2": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64}
INTEGERS = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "I16": "<i2",
    "U16": "<u2",
    "I32": "<i4",
    "U32": "<u4",
    "I64": "<i8",
    "U64": "<u8",
}

# Elements drawn at a time; part of the stream's definition.
CHUNK = 1 << 19

WEIGHT: Rule = {
    "kind": "weight",
    "std": 0.02,
    "row_spread": 0.35,
    "outlier_frac": 0.001,
    "outlier_scale": 8.0,
}
DEFAULT_RULES: list[Rule] = [
    {"match": r"\.alpha$", "kind": "const", "value": 8.0},
    {"match": r"position_ids$", "kind": "arange"},
    {"match": r"dora_scale|magnitude", "kind": "positive", "mean": 0.8, "std": 0.15},
    {"match": r"lora_down|lora_A|lora\.down|lokr_w2_b", "kind": "lora_down", "row_spread": 0.2},
    {"match": r"lora_up|lora_B|lora\.up|lokr_", "kind": "normal", "mean": 0.0, "std": 0.01},
    {"match": r"bias$", "kind": "normal", "mean": 0.0, "std": 0.02},
    {"match": r"(weight|scale|gamma)$", "ndim": 1, "kind": "normal", "mean": 1.0, "std": 0.1},
    {"match": r"norm\w*\.(gamma|weight|scale)$", "kind": "normal", "mean": 1.0, "std": 0.1},
    {"match": "", **WEIGHT},
]


def find_rule(rules: list[Rule], name: str, shape: Sequence[int]) -> Rule:
    """Return the first rule that fits a tensor."""
    for rule in rules:
        if rule.get("ndim", len(shape)) == len(shape) and re.search(rule["match"], name):
            return rule
    return WEIGHT


def tensor_chunks(
    name: str, dtype: str, shape: Sequence[int], rule: Rule, seed: int
) -> Iterator[npt.NDArray[Any]]:
    """Yield a tensor's bytes in order, as arrays."""
    count = math.prod(shape)
    if count == 0:
        return
    if dtype in INTEGERS:
        yield _integers(dtype, tuple(shape) or (1,), rule)
        return
    stream = Stream(seed, name)
    kind = rule["kind"]
    rows = shape[0] if len(shape) > 1 else 1
    width = count // rows
    std = rule.get("std", WEIGHT["std"])
    row_stds = None
    if kind in ("weight", "lora_down", "nan"):
        if kind == "lora_down":
            std = 1.0 / math.sqrt(3.0 * width)
        spread = rule.get("row_spread", 0.0)
        if spread and len(shape) > 1:
            factors = np.exp(spread * stream.normal(rows).astype(np.float64))
            factors = np.rint(factors * 1024.0) / 1024.0
            row_stds = (factors * std).astype(np.float32)
    rows_at_once = max(1, CHUNK // width)  # whole rows in a chunk, or one row in pieces
    for first in range(0, rows, rows_at_once):
        last = min(rows, first + rows_at_once)
        span = (last - first) * width
        for start in range(0, span, CHUNK):
            drawn = min(CHUNK, span - start)
            stds: Floats | np.float32 = np.float32(std)
            if row_stds is not None:
                whole = drawn == span
                stds = np.repeat(row_stds[first:last], width) if whole else row_stds[first]
            yield encode(_values(stream, drawn, rule, stds), dtype)


def _integers(dtype: str, shape: tuple[int, ...], rule: Rule) -> npt.NDArray[Any]:
    if rule["kind"] == "arange":
        values = np.broadcast_to(np.arange(shape[-1]), shape)
    else:
        values = np.full(shape, int(rule.get("value", 0)))
    return np.ascontiguousarray(values, dtype=INTEGERS[dtype])


def _values(stream: "Stream", count: int, rule: Rule, stds: Floats | np.float32) -> Floats:
    kind = rule["kind"]
    if kind == "const":
        return np.full(count, rule["value"], dtype=np.float32)
    values = stream.normal(count)
    values *= stds
    if "mean" in rule:
        values += np.float32(rule["mean"])
    if kind == "positive":
        np.abs(values, out=values)
    outliers = rule.get("outlier_frac", 0.0)
    if outliers and count >= 64:
        at = stream.positions(max(1, round(count * outliers)), count)
        values[at] = values[at] * np.float32(rule.get("outlier_scale", 8.0))
    if kind == "nan":
        values[stream.positions(max(1, round(count * rule.get("nan_frac", 0.001))), count)] = np.nan
    return values


class Stream:
    """The raw PCG64 stream of one tensor; four table normals to each 64-bit draw."""

    def __init__(self, seed: int, name: str) -> None:
        key = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
        self._bits = np.random.PCG64(int.from_bytes(key[:16], "little"))

    def normal(self, count: int) -> Floats:
        """Draw values of the standard normal distribution."""
        draws = self._bits.random_raw((count + 3) // 4).astype("<u8", copy=False)
        return _normal_table().take(draws.view("<u2")[:count])

    def positions(self, count: int, below: int) -> npt.NDArray[np.int64]:
        """Draw indices, which may repeat."""
        return (self._bits.random_raw(count) % np.uint64(below)).astype(np.int64)


def encode(values: Floats, dtype: str) -> npt.NDArray[Any]:
    """Return the little-endian bytes of a dtype, rounded to nearest even."""
    match dtype:
        case "F64":
            return values.astype("<f8")
        case "F32":
            return values.astype("<f4", copy=False)
        case "F16":
            return values.astype("<f2")
        case "BF16":
            bits = values.view(np.uint32)
            half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
            encoded = ((bits + half) >> np.uint32(16)).astype("<u2")
            encoded[np.isnan(values)] = 0x7FC0
            return encoded
        case "F8_E4M3" | "F8_E5M2":
            return _float8_table(dtype)[values.astype(np.float16).view(np.uint16)]
    message = f"no float encoding for {dtype}"
    raise ValueError(message)


@cache
def _normal_table() -> Floats:
    """65536 standard normal quantiles by Acklam's rational approximation.

    Rounded to multiples of 2^-16, so that a last-place difference between two libm
    implementations of log cannot reach the table.
    """
    a = [-3.969683028665376e01, 2.209460984245205e02, -2.759285104469687e02]
    a += [1.383577518672690e02, -3.066479806614716e01, 2.506628277459239e00]
    b = [-5.447609879822406e01, 1.615858368580409e02, -1.556989798598866e02]
    b += [6.680131188771972e01, -1.328068155288572e01, 1.0]
    c = [-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e00]
    c += [-2.549732539343734e00, 4.374664141464968e00, 2.938163982698783e00]
    d = [7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e00]
    d += [3.754408661907416e00, 1.0]
    p = (np.arange(32768, dtype=np.float64) + 0.5) / 65536.0  # the lower half
    q = p - 0.5
    middle = np.polyval(a, q * q) * q / np.polyval(b, q * q)
    t = np.sqrt(-2.0 * np.log(p))
    tail = np.polyval(c, t) / np.polyval(d, t)
    lower = np.where(p < 0.02425, tail, middle)
    quantiles = np.concatenate([lower, -lower[::-1]])
    return (np.rint(quantiles * 65536.0) / 65536.0).astype(np.float32)


@cache
def _float8_table(dtype: str) -> npt.NDArray[np.uint8]:
    """Float16 bit pattern to float8 byte, to nearest even.

    E4M3 has no infinity and saturates at 448; E5M2 overflows to infinity.
    """
    mantissa, bias, largest = {"F8_E4M3": (3, 7, 448.0), "F8_E5M2": (2, 15, 57344.0)}[dtype]
    half = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    magnitude = np.abs(half)
    finite = np.where(np.isfinite(magnitude), magnitude, 0.0)
    step = np.ldexp(1.0, _exponent(finite, bias) - mantissa)
    rounded = np.rint(finite / step) * step
    exponent = _exponent(rounded, bias)
    subnormal = rounded < np.ldexp(1.0, 1 - bias)
    fraction = np.where(
        subnormal,
        rounded / np.ldexp(1.0, 1 - bias - mantissa),
        (rounded / np.ldexp(1.0, exponent) - 1.0) * (1 << mantissa),
    ).astype(np.int64)
    code = np.where(subnormal, fraction, ((exponent + bias) << mantissa) + fraction)
    overflows = (rounded > largest) | np.isinf(magnitude)
    code = np.where(overflows, 0x7E if dtype == "F8_E4M3" else 0x7C, code)
    code = np.where(np.isnan(magnitude), 0x7F, code)
    sign = np.signbit(half).astype(np.uint8) << np.uint8(7)
    return code.astype(np.uint8) | sign


def _exponent(values: npt.NDArray[np.float64], bias: int) -> npt.NDArray[np.int64]:
    return np.maximum(np.frexp(values)[1].astype(np.int64) - 1, 1 - bias)
