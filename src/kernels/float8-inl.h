// SPDX-License-Identifier: Apache-2.0
//
// Floats of 8 bits: a sign, an exponent, a mantissa, to nearest even from f32 and back.
//
//   E4M3   s eeee mmm   bias 7    largest 448     0x7F and 0xFF are NaN, there is no Inf
//   E5M2   s eeeee mm   bias 15   largest 57344   the upper half of an f16
//
// Encoding: adding 2^(20 + e), where e is the exponent of |x| and at least that of the subnormals,
// leaves an E4M3 mantissa with its hidden bit in the low bits of the sum, rounded (E5M2: 2^(21 +
// e)). A carry makes it the mantissa of the next exponent, and the codes follow each other all the
// same.

#if defined(QUARROW_KERNELS_FLOAT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_FLOAT8_INL_H_
#undef QUARROW_KERNELS_FLOAT8_INL_H_
#else
#define QUARROW_KERNELS_FLOAT8_INL_H_
#endif

#include "kernels/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

struct E4M3 {
  static constexpr int kMantissaBits = 3;
  static constexpr int kBias = 7;
  static constexpr float kLargest = 448.0F;
};

struct E5M2 {
  static constexpr int kMantissaBits = 2;
  static constexpr int kBias = 15;
  static constexpr float kLargest = 57344.0F;
};

// The code in the low byte of each lane. What is larger than the largest, Inf too, becomes that; of
// NaN the code means nothing.
template <class Type>
HWY_INLINE Uints encode_float8(Floats x) {
  constexpr int kDropped = 23 - Type::kMantissaBits;
  constexpr std::uint32_t kLeastExponent = 127 + 1 - Type::kBias;
  const UintTag du;
  const FloatTag df;
  const auto magnitude = hn::Min(hn::Abs(x), hn::Set(df, Type::kLargest));
  const auto exponent = hn::Max(hn::And(hn::BitCast(du, magnitude), hn::Set(du, 0xFFU << 23)),
                                hn::Set(du, kLeastExponent << 23));
  const auto magic = hn::Add(exponent, hn::Set(du, static_cast<std::uint32_t>(kDropped) << 23));
  const auto sum = hn::BitCast(du, hn::Add(magnitude, hn::BitCast(df, magic)));
  // Of the least exponent the hidden bit counts by itself: subnormals are without it.
  const auto from_least = hn::Sub(exponent, hn::Set(du, kLeastExponent << 23));
  const auto code = hn::Add(hn::ShiftRight<kDropped>(from_least), hn::Sub(sum, magic));
  return hn::Or(code, hn::And(hn::ShiftRight<24>(hn::BitCast(du, x)), hn::Set(du, 0x80)));
}

// The values of codes; those of Inf and NaN are that.
template <class Type>
HWY_INLINE Floats decode_float8(hn::Vec<CodeTag> codes) {
  const HalfUint16Tag d16;
  const auto code = hn::PromoteTo(d16, codes);
  if constexpr (Type::kMantissaBits == 2) {
    return widen_f16(hn::ShiftLeft<8>(code));
  } else {
    const auto magnitude = hn::And(code, hn::Set(d16, 0x7F));
    const auto sign = hn::ShiftLeft<8>(hn::And(code, hn::Set(d16, 0x80)));
    const auto is_nan = hn::Eq(magnitude, hn::Set(d16, 0x7F));
    const auto half = hn::IfThenElse(is_nan, hn::Set(d16, 0x7E00), hn::ShiftLeft<7>(magnitude));
    // The bias of an f16 is 8 more.
    return hn::Mul(widen_f16(hn::Or(half, sign)), hn::Set(FloatTag(), 256.0F));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_FLOAT8_INL_H_
