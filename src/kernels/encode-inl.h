// SPDX-License-Identifier: Apache-2.0
//
// x to codes, four vectors at a time.
//
//   f32 x -> x * inverse (or x / scale) -> + kMagic: RNE in the low bits -> - magic + zero point
//   i32, i32 -> i16 -> u8, saturating at 0 -> at most 2^bits - 1
//
// clamp(RNE(y) + zero point) is what this computes for any |y| <= kMaxQuotient; "careful" encoding
// clamps y to that first, which changes no code, and takes NaN as 0.
//
// Division without dividing: q = x * (1 / scale) is within 2^-16 of x / scale, and RN(x / scale)
// too is within 2^-17 of it, as |x / scale| <= 127.01: both have relative errors of a few 2^-24. So
// RNE(q) = RNE(RN(x / scale)) unless q is within 2^-15 of the middle between two integers; then the
// step is done again with true division.

#if defined(QUARROW_KERNELS_ENCODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_ENCODE_INL_H_
#undef QUARROW_KERNELS_ENCODE_INL_H_
#else
#define QUARROW_KERNELS_ENCODE_INL_H_
#endif

#include "kernels/group_block-inl.h"
#include "kernels/narrow-inl.h"
#include "kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

enum class Encode {
  kMultiply,       // x * inverse
  kCareful,        // x * inverse, any x
  kStochastic,     // floor(x * inverse + u), any x
  kDivide,         // x / scale
  kCarefulDivide,  // x / scale, any x
};

// What the encoding of a group needs. Codes are unsigned until `offset` is taken off. Always made
// as an aggregate: an implicit default constructor would not be compiled for the target.
struct GroupCode {
  Floats scale;
  Floats inverse;
  Ints bias;  // kMagicBits - zero point
  Bytes levels;
  Bytes offset;
  std::uint64_t key;
};

HWY_INLINE Ints to_codes(Floats quotient, const GroupCode& code) {
  const auto rounded = hn::Add(quotient, hn::Set(FloatTag(), kMagic));
  return hn::Sub(hn::BitCast(IntTag(), rounded), code.bias);
}

// `low` for the first two vectors, `high` for the others.
HWY_INLINE Bytes to_bytes(Floats q0, Floats q1, Floats q2, Floats q3, const GroupCode& low,
                          const GroupCode& high) {
  const auto first = narrow_32(to_codes(q0, low), to_codes(q1, low));
  const auto last = narrow_32(to_codes(q2, high), to_codes(q3, high));
  const auto codes = hn::Min(restore_order(narrow_16(first, last)), low.levels);
  return hn::Sub(codes, low.offset);
}

// How far q is from the integer next to it.
HWY_INLINE Floats distance_from_integer(Floats q) {
  const auto magic = hn::Set(FloatTag(), kMagic);
  return hn::Abs(hn::Sub(q, hn::Sub(hn::Add(q, magic), magic)));
}

HWY_INLINE bool near_a_tie(Floats q0, Floats q1, Floats q2, Floats q3) {
  const FloatTag df;
  const auto farthest = hn::Max(hn::Max(distance_from_integer(q0), distance_from_integer(q1)),
                                hn::Max(distance_from_integer(q2), distance_from_integer(q3)));
  return !hn::AllTrue(df, hn::Lt(farthest, hn::Set(df, 0.5F - 0x1p-15F)));
}

HWY_INLINE Floats careful_quotient(Floats x, Floats factor, bool divide) {
  const FloatTag df;
  const auto number = hn::IfThenElseZero(hn::Eq(x, x), x);
  const auto quotient = divide ? hn::Div(number, factor) : hn::Mul(number, factor);
  return hn::Min(hn::Max(quotient, hn::Set(df, -kMaxQuotient)), hn::Set(df, kMaxQuotient));
}

// kEncodeStep elements, the first half of the group `low` and the others of `high`, which may be
// the same. `index`: the flat index of the first.
template <Encode kEncode, DType kDType>
HWY_INLINE Bytes encode_step(const std::byte* data, const GroupCode& low, const GroupCode& high,
                             std::uint64_t index) {
  using In = Source<kDType>;
  constexpr std::size_t kVectorBytes = kLanes * In::kBytes;
  const auto x0 = In::load(data);
  const auto x1 = In::load(data + kVectorBytes);
  const auto x2 = In::load(data + 2 * kVectorBytes);
  const auto x3 = In::load(data + 3 * kVectorBytes);
  const auto each = [&](auto quotient) HWY_ATTR {
    return to_bytes(quotient(x0, low, 0), quotient(x1, low, 1), quotient(x2, high, 2),
                    quotient(x3, high, 3), low, high);
  };
  if constexpr (kEncode == Encode::kMultiply) {
    return each([](Floats x, const GroupCode& code, std::size_t)
                    HWY_ATTR { return hn::Mul(x, code.inverse); });
  } else if constexpr (kEncode == Encode::kCareful) {
    return each([](Floats x, const GroupCode& code, std::size_t)
                    HWY_ATTR { return careful_quotient(x, code.inverse, /*divide=*/false); });
  } else if constexpr (kEncode == Encode::kCarefulDivide) {
    return each([](Floats x, const GroupCode& code, std::size_t)
                    HWY_ATTR { return careful_quotient(x, code.scale, /*divide=*/true); });
  } else if constexpr (kEncode == Encode::kStochastic) {
    return each([&](Floats x, const GroupCode& code, std::size_t vector) HWY_ATTR {
      const auto quotient = careful_quotient(x, code.inverse, /*divide=*/false);
      const auto random = philox_uniform(code.key, index + vector * kLanes);
      return hn::Floor(hn::Add(quotient, random));
    });
  } else {
    const auto q0 = hn::Mul(x0, low.inverse);
    const auto q1 = hn::Mul(x1, low.inverse);
    const auto q2 = hn::Mul(x2, high.inverse);
    const auto q3 = hn::Mul(x3, high.inverse);
    if (HWY_UNLIKELY(near_a_tie(q0, q1, q2, q3))) {
      return each([](Floats x, const GroupCode& code, std::size_t)
                      HWY_ATTR { return hn::Div(x, code.scale); });
    }
    return to_bytes(q0, q1, q2, q3, low, high);
  }
}

// Elements of one group, whole or in part.
struct EncodeSpan {
  const std::byte* data;
  std::uintptr_t ahead;  // to fetch meanwhile, see fetch_for_step()
  std::size_t count;
  std::size_t readable;  // elements from `data` to the end of the row
  std::uint64_t index;   // the flat index of the first
  std::uint8_t* codes;   // one a byte
  bool stream;           // past the caches, see QuantizeTile
  std::size_t writable;  // bytes from `codes` on; those beyond `count` are overwritten
};

template <Encode kEncode, DType kDType>
HWY_INLINE void encode_span(const EncodeSpan& span, const GroupCode& code) {
  constexpr std::size_t kBytes = Source<kDType>::kBytes;
  const ByteTag d8;
  const bool stream = span.stream && can_stream(span.codes);
  std::uintptr_t ahead = span.ahead;
  std::size_t i = 0;
  for (; i + kEncodeStep <= span.count; i += kEncodeStep) {
    ahead = fetch_for_step<kEncodeStep * kBytes>(ahead);
    store_codes(encode_step<kEncode, kDType>(span.data + i * kBytes, code, code, span.index + i),
                span.codes + i, stream);
  }
  if (i == span.count) return;
  alignas(64) std::byte padded[kEncodeStep * kBytes];
  const std::byte* data = span.data + i * kBytes;
  if (span.readable - i < kEncodeStep) {
    std::memset(padded, 0, sizeof padded);
    std::memcpy(padded, data, (span.count - i) * kBytes);
    data = padded;
  }
  const Bytes codes = encode_step<kEncode, kDType>(data, code, code, span.index + i);
  if (span.writable - i >= kEncodeStep) {
    hn::StoreU(codes, d8, span.codes + i);
    return;
  }
  alignas(64) std::uint8_t last[kEncodeStep];
  hn::Store(codes, d8, last);
  std::memcpy(span.codes + i, last, span.count - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_ENCODE_INL_H_
