// SPDX-License-Identifier: Apache-2.0
//
// What ggml's block types are put together from: steps, scales, nibbles and fifth bits.

#if defined(QUARROW_KERNELS_GGML_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_GGML_CODES_INL_H_
#undef QUARROW_KERNELS_GGML_CODES_INL_H_
#else
#define QUARROW_KERNELS_GGML_CODES_INL_H_
#endif

#include "kernels/block_walk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

// Stores f16 patterns, and says whether all are numbers.
HWY_INLINE bool store_halves(Floats values, std::uint16_t* halves) {
  const auto patterns = encode_f16(values);
  store_low_halves(patterns, reinterpret_cast<std::byte*>(halves));
  const IntTag di;
  const auto magnitude = hn::And(hn::BitCast(di, patterns), hn::Set(di, 0x7FFF));
  return hn::AllTrue(di, hn::Lt(magnitude, hn::Set(di, 0x7C00)));
}

// 1 / d; 0 where that is no number.
HWY_INLINE Floats inverse_of(Floats d) {
  const FloatTag df;
  const auto inverse = hn::Div(hn::Set(df, 1.0F), d);
  return hn::IfThenElseZero(hn::Le(hn::Abs(inverse), hn::Set(df, 0x1.FFFFFEp127F)), inverse);
}

// x * inverse, 0 where that is no number.
template <bool kCareful>
HWY_INLINE Floats product(Floats x, Floats inverse) {
  const auto exact = hn::Mul(x, inverse);
  if constexpr (!kCareful) return exact;
  return hn::IfThenElseZero(hn::Eq(exact, exact), exact);
}

template <bool kCareful>
HWY_INLINE Floats limited(Floats value, float least, float most) {
  if constexpr (!kCareful) return value;
  const FloatTag df;
  return hn::Min(hn::Max(value, hn::Set(df, least)), hn::Set(df, most));
}

// The bytes of `code(x, group)` for each of the vectors.
template <class Group, class Code>
HWY_INLINE Bytes bytes_of_codes(Floats x0, Floats x1, Floats x2, Floats x3, const Group& low,
                                const Group& high, Code code) {
  return join_codes(code(x0, low), code(x1, low), code(x2, high), code(x3, high));
}

// Halves away from zero, and the sign of x: trunc(y + 0.5) would make 1 of the number below 0.5.
template <bool kCareful>
struct SignedStep {
  struct Group {
    Floats inverse;
  };
  static HWY_INLINE Group group(const TileCode& /*common*/, const GroupBlock& block,
                                std::size_t g) {
    return {.inverse = hn::Set(FloatTag(), block.inverse[g])};
  }
  static HWY_INLINE Bytes encode(Floats x0, Floats x1, Floats x2, Floats x3, const Group& low,
                                 const Group& high, std::uint64_t /*index*/) {
    const auto bytes =
        bytes_of_codes(x0, x1, x2, x3, low, high, [](Floats x, const Group& group) HWY_ATTR {
          const FloatTag df;
          const auto y = limited<kCareful>(product<kCareful>(x, group.inverse), -127.0F, 127.0F);
          const auto half = hn::CopySign(hn::Set(df, 0x1.FFFFFEp-2F), y);
          const auto whole = hn::ConvertTo(IntTag(), hn::Add(y, half));
          return hn::Add(whole, hn::Set(IntTag(), 128));
        });
    return hn::Sub(bytes, hn::Set(ByteTag(), 128));
  }
};

// Codes of up to kLevels: from the block's least value with kFromLeast, else around a middle.
template <int kLevels, bool kFromLeast, bool kCareful>
struct UnsignedStep {
  struct Group {
    Floats inverse;
    Floats least;
    Floats bias;
  };
  static HWY_INLINE Group group(const TileCode& /*common*/, const GroupBlock& block,
                                std::size_t g) {
    const FloatTag df;
    return {.inverse = hn::Set(df, block.inverse[g]),
            .least = hn::Set(df, block.lo[g]),
            .bias = hn::Set(df, static_cast<float>(block.zero_point[g]) + 0.5F)};
  }
  static HWY_INLINE Bytes encode(Floats x0, Floats x1, Floats x2, Floats x3, const Group& low,
                                 const Group& high, std::uint64_t /*index*/) {
    const auto bytes =
        bytes_of_codes(x0, x1, x2, x3, low, high, [](Floats x, const Group& group) HWY_ATTR {
          if constexpr (kCareful) x = hn::IfThenElseZero(hn::Eq(x, x), x);
          const auto from = kFromLeast ? hn::Sub(x, group.least) : x;
          const auto scaled = product<kCareful>(from, group.inverse);
          const auto y = limited<kCareful>(hn::Add(scaled, group.bias), 0.0F, 64.0F);
          return hn::ConvertTo(IntTag(), y);
        });
    return hn::Min(bytes, hn::Set(ByteTag(), static_cast<std::uint8_t>(kLevels)));
  }
};

// Byte j = code j | code j+16 << 4, of the low halves of codes.
HWY_INLINE void join_nibbles(const std::uint8_t* codes, std::uint8_t* out) {
  const hn::Full128<std::uint8_t> d8;
  const hn::Full128<std::uint16_t> d16;
  const auto nibble = hn::Set(d8, 15);
  const auto low = hn::And(hn::Load(d8, codes), nibble);
  const auto high = hn::And(hn::Load(d8, codes + 16), nibble);
  const auto raised = hn::BitCast(d8, hn::ShiftLeft<4>(hn::BitCast(d16, high)));
  hn::StoreU(hn::Or(low, raised), d8, out);
}

HWY_INLINE void split_nibbles(const std::uint8_t* stored, std::uint8_t* codes) {
  const hn::Full128<std::uint8_t> d8;
  const hn::Full128<std::uint16_t> d16;
  const auto nibble = hn::Set(d8, 15);
  const auto both = hn::LoadU(d8, stored);
  const auto lowered = hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, both)));
  hn::Store(hn::And(both, nibble), d8, codes);
  hn::Store(hn::And(lowered, nibble), d8, codes + 16);
}

// The fifth bits of 32 codes: bit j is that of code j.
HWY_INLINE void join_fifth_bits(const std::uint8_t* codes, std::uint8_t* out) {
  const hn::Full128<std::uint8_t> d8;
  const auto bit = hn::Set(d8, 16);
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint8_t bits[8];  // what is written at least
    const auto codes_of_half = hn::Load(d8, codes + 16 * half);
    hn::StoreMaskBits(d8, hn::Eq(hn::And(codes_of_half, bit), bit), bits);
    std::memcpy(out + 2 * half, bits, 2);
  }
}

HWY_INLINE void add_fifth_bits(const std::uint8_t* stored, std::uint8_t* codes) {
  const hn::Full128<std::uint8_t> d8;
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint8_t bits[8] = {};  // what is read at least
    std::memcpy(bits, stored + 2 * half, 2);
    const auto mask = hn::LoadMaskBits(d8, bits);
    const auto bit = hn::IfThenElseZero(mask, hn::Set(d8, 16));
    hn::Store(hn::Or(hn::Load(d8, codes + 16 * half), bit), d8, codes + 16 * half);
  }
}

HWY_INLINE float half_at(const std::uint8_t* stored) {
  std::uint16_t pattern;
  std::memcpy(&pattern, stored, sizeof pattern);
  return hn::GetLane(decode_f16(hn::Set(UintTag(), pattern)));
}

// The first value of a block that is as large as `reach`, with its sign.
template <DType kDType>
HWY_NOINLINE float first_of_magnitude(const GroupSpan& span, float reach) {
  constexpr std::size_t kBytes = Source<kDType>::kBytes;
  for (std::size_t i = 0; i < span.count; i += kLanes) {
    alignas(64) float values[kLanes];
    hn::Store(Source<kDType>::load(span.data + i * kBytes), FloatTag(), values);
    for (const float value : values) {
      if (std::fabs(value) == reach) return value;
    }
  }
  return reach;
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_GGML_CODES_INL_H_
