// SPDX-License-Identifier: Apache-2.0
//
// The steps of integer codes: four vectors of x to codes.
//
//   f32 x -> x * inverse (or x / scale) -> + kMagic: RNE in the low bits -> - magic + zero point
//   i32, i32 -> i16 -> u8, saturating at 0 -> at most 2^bits - 1
//
// clamp(RNE(y) + zero point) is what this computes for any |y| <= kMaxQuotient; "careful" steps
// clamp y to that first, which changes no code, and take NaN as 0.
//
// Division without dividing: q = x * (1 / scale) is within 2^-16 of x / scale, and RN(x / scale)
// too is within 2^-17 of it, as |x / scale| <= 127.01: both have relative errors of a few 2^-24. So
// RNE(q) = RNE(RN(x / scale)) unless q is within 2^-15 of the middle between two integers; then the
// step is done again with true division.

#if defined(QUARROW_KERNELS_INTEGER_STEP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_INTEGER_STEP_INL_H_
#undef QUARROW_KERNELS_INTEGER_STEP_INL_H_
#else
#define QUARROW_KERNELS_INTEGER_STEP_INL_H_
#endif

#include "kernels/group_block-inl.h"
#include "kernels/narrow-inl.h"
#include "kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

constexpr bool is_packed(const CodeRule& rule) { return rule.packed && rule.bits < 8; }

// Half of the codes: what separates signed from unsigned ones.
constexpr std::uint8_t sign_offset(const CodeRule& rule) {
  const bool is_signed = rule.symmetric && !rule.unsigned_codes;
  return static_cast<std::uint8_t>(is_signed ? 1U << (rule.bits - 1) : 0U);
}

// The sign bits of all codes in a packed byte: flipping them turns unsigned codes into two's
// complement, and back.
constexpr std::uint8_t sign_flip(const CodeRule& rule) {
  return static_cast<std::uint8_t>(sign_offset(rule) * (rule.bits == 4 ? 0x11U : 0x55U));
}

// What the codes of a tile have in common.
struct TileCode {
  Bytes levels;
  Bytes offset;
  std::uint64_t key;
};

HWY_INLINE TileCode tile_code(const CodeRule& rule) {
  const ByteTag d8;
  return {.levels = hn::Set(d8, static_cast<std::uint8_t>((1U << rule.bits) - 1)),
          .offset = hn::Set(d8, is_packed(rule) ? std::uint8_t{0} : sign_offset(rule)),
          .key = rule.random_key};
}

// What a step needs of a group. Codes are unsigned until `offset` is taken off. Always made as an
// aggregate: an implicit default constructor would not be compiled for the target.
struct GroupCode {
  Floats scale;
  Floats inverse;
  Ints bias;  // kMagicBits - zero point
  Bytes levels;
  Bytes offset;
  std::uint64_t key;
};

struct IntegerStep {
  using Group = GroupCode;

  static HWY_INLINE Group group(const TileCode& common, const GroupBlock& block, std::size_t g) {
    const FloatTag df;
    return {.scale = hn::Set(df, block.scale[g]),
            .inverse = hn::Set(df, block.inverse[g]),
            .bias = hn::Set(IntTag(), kMagicBits - block.zero_point[g]),
            .levels = common.levels,
            .offset = common.offset,
            .key = common.key};
  }
};

HWY_INLINE Ints to_codes(Floats quotient, const GroupCode& code) {
  const auto rounded = hn::Add(quotient, hn::Set(FloatTag(), kMagic));
  return hn::Sub(hn::BitCast(IntTag(), rounded), code.bias);
}

// `low` for the first two vectors, `high` for the others.
HWY_INLINE Bytes to_bytes(Floats q0, Floats q1, Floats q2, Floats q3, const GroupCode& low,
                          const GroupCode& high) {
  const auto codes = hn::Min(
      join_codes(to_codes(q0, low), to_codes(q1, low), to_codes(q2, high), to_codes(q3, high)),
      low.levels);
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

// x * inverse, or x / scale, of any x.
template <bool kDivides>
struct CarefulStep : IntegerStep {
  static HWY_INLINE Bytes encode(Floats x0, Floats x1, Floats x2, Floats x3, const GroupCode& low,
                                 const GroupCode& high, std::uint64_t /*index*/) {
    return to_bytes(quotient(x0, low), quotient(x1, low), quotient(x2, high), quotient(x3, high),
                    low, high);
  }

 private:
  static HWY_INLINE Floats quotient(Floats x, const GroupCode& code) {
    return careful_quotient(x, kDivides ? code.scale : code.inverse, kDivides);
  }
};

// x * inverse.
struct MultiplyStep : IntegerStep {
  static HWY_INLINE Bytes encode(Floats x0, Floats x1, Floats x2, Floats x3, const GroupCode& low,
                                 const GroupCode& high, std::uint64_t /*index*/) {
    return to_bytes(hn::Mul(x0, low.inverse), hn::Mul(x1, low.inverse), hn::Mul(x2, high.inverse),
                    hn::Mul(x3, high.inverse), low, high);
  }
};

// floor(x * inverse + u), of any x.
struct StochasticStep : IntegerStep {
  static HWY_INLINE Bytes encode(Floats x0, Floats x1, Floats x2, Floats x3, const GroupCode& low,
                                 const GroupCode& high, std::uint64_t index) {
    return to_bytes(raised(x0, low, index), raised(x1, low, index + kLanes),
                    raised(x2, high, index + 2 * kLanes), raised(x3, high, index + 3 * kLanes), low,
                    high);
  }

 private:
  static HWY_INLINE Floats raised(Floats x, const GroupCode& code, std::uint64_t index) {
    const auto quotient = careful_quotient(x, code.inverse, /*divide=*/false);
    return hn::Floor(hn::Add(quotient, philox_uniform(code.key, index)));
  }
};

// x / scale.
struct DivideStep : IntegerStep {
  static HWY_INLINE Bytes encode(Floats x0, Floats x1, Floats x2, Floats x3, const GroupCode& low,
                                 const GroupCode& high, std::uint64_t /*index*/) {
    const auto q0 = hn::Mul(x0, low.inverse);
    const auto q1 = hn::Mul(x1, low.inverse);
    const auto q2 = hn::Mul(x2, high.inverse);
    const auto q3 = hn::Mul(x3, high.inverse);
    if (HWY_UNLIKELY(near_a_tie(q0, q1, q2, q3))) {
      return to_bytes(hn::Div(x0, low.scale), hn::Div(x1, low.scale), hn::Div(x2, high.scale),
                      hn::Div(x3, high.scale), low, high);
    }
    return to_bytes(q0, q1, q2, q3, low, high);
  }
};

// Calls with(the step for a block of integer codes).
template <bool kDivides, class With>
HWY_INLINE void with_integer_step(const CodeRule& rule, bool careful, With with) {
  if constexpr (kDivides) {
    if (careful) return with(CarefulStep<true>());
    with(DivideStep());
  } else {
    if (rule.stochastic) return with(StochasticStep());
    if (careful) return with(CarefulStep<false>());
    with(MultiplyStep());
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_INTEGER_STEP_INL_H_
