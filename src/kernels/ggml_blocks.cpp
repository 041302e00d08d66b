// SPDX-License-Identifier: Apache-2.0
//
// q8_0, q4_0, q4_1, q5_0 and q5_1 as ggml's quantize_row_*_ref makes them (ggml-quants.c), where no
// multiplication is fused with an addition. Of each block of 32, in f32:
//
//          d                   code                                   restored
//   q8_0   max |x| / 127       round(x * id), halves away from 0      code * d
//   q4_0   m / -8              min(15, trunc(x * id + 8.5))           (code - 8) * d
//   q5_0   m / -16             min(31, trunc(x * id + 16.5))          (code - 16) * d
//   q4_1   (max - min) / 15    min(15, trunc((x - min) * id + 0.5))   code * d + min
//   q5_1   (max - min) / 31    min(31, trunc((x - min) * id + 0.5))   code * d + min
//
// id = 1 / d, or 0 where d is 0; m is the first of the values with the largest |x|. d and min are
// stored as f16, nearest even; what does not fit is reported. Where id is Inf ggml converts Inf and
// NaN to integers, which x86 makes 0: here id is 0 then, and the code is.
//
// Stored, in this order: d, then min (q4_1, q5_1), then the fifth bits (q5_0, q5_1: bit j of a u32
// is that of code j), then the codes: q8_0 a byte each, the others byte j = code j | code j+16
// << 4.
#include "kernels/ggml_blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ggml_blocks.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include "kernels/ggml_codes-inl.h"
#include "kernels/target_table.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {
namespace {

// As f16 patterns.
struct BlockScales {
  alignas(64) std::uint16_t d[kBlockGroups];
  alignas(64) std::uint16_t min[kBlockGroups];  // of the types that have it
};

bool is_infinite(std::uint16_t pattern) { return (pattern & 0x7FFF) == 0x7C00; }

struct Q8_0 {
  static constexpr std::size_t kElements = 32;
  static constexpr std::size_t kBytes = 34;
  using Scales = BlockScales;

  template <DType kDType>
  static HWY_INLINE void find(const InputTile& input, GroupBlock& block, TileReport& report) {
    find_ranges<kDType>(input, block, report);
  }

  template <DType kDType>
  static HWY_NOINLINE void parameters(GroupBlock& block, Scales& scales) {
    const FloatTag df;
    block.overflow = false;
    for (std::size_t g = 0; g < block.count; g += kLanes) {
      const auto reach = hn::Max(hn::Neg(hn::Load(df, block.lo + g)), hn::Load(df, block.hi + g));
      const auto d = hn::Div(reach, hn::Set(df, 127.0F));
      hn::Store(inverse_of(d), df, block.inverse + g);
      if (!store_halves(d, scales.d + g)) block.overflow = true;
    }
  }

  static bool overflows(const Scales& scales, std::size_t g) { return is_infinite(scales.d[g]); }

  template <class With>
  static HWY_INLINE void with_step(bool careful, With with) {
    if (careful) return with(SignedStep<true>());
    with(SignedStep<false>());
  }

  static HWY_INLINE void join(const Scales& scales, std::size_t g, const std::uint8_t* codes,
                              std::uint8_t* out) {
    std::memcpy(out, &scales.d[g], 2);
    std::memcpy(out + 2, codes, kElements);
  }
  template <DType kDType>
  static HWY_INLINE void decode(const std::uint8_t* stored, std::byte* output) {
    const auto d = hn::Set(FloatTag(), half_at(stored));
    decode_codes<kDType>(stored + 2, kElements, output, [&](hn::Vec<CodeTag> codes) HWY_ATTR {
      const hn::RebindToSigned<CodeTag> d8;
      const auto whole = hn::PromoteTo(IntTag(), hn::BitCast(d8, codes));
      return hn::Mul(hn::ConvertTo(FloatTag(), whole), d);
    });
  }
};

// Around the middle of kLevels + 1 codes: q4_0, q5_0.
template <int kLevels>
struct AroundMiddle {
  static constexpr std::size_t kElements = 32;
  static constexpr bool kHasFifthBits = kLevels > 15;
  static constexpr std::size_t kBytes = kHasFifthBits ? 22 : 18;
  static constexpr int kMiddle = (kLevels + 1) / 2;
  using Scales = BlockScales;

  template <DType kDType>
  static HWY_INLINE void find(const InputTile& input, GroupBlock& block, TileReport& report) {
    find_ranges<kDType>(input, block, report);
  }

  template <DType kDType>
  static HWY_NOINLINE void parameters(GroupBlock& block, Scales& scales) {
    const FloatTag df;
    const IntTag di;
    block.overflow = false;
    for (std::size_t g = 0; g < block.count; g += kLanes) {
      const auto lo = hn::Load(df, block.lo + g);
      const auto hi = hn::Load(df, block.hi + g);
      auto most = hn::IfThenElse(hn::Ge(hi, hn::Neg(lo)), hi, lo);
      const auto is_tie = hn::And(hn::VecFromMask(df, hn::Eq(hi, hn::Neg(lo))), hi);
      if (HWY_UNLIKELY(!hn::AllTrue(df, hn::Eq(is_tie, hn::Zero(df))))) {
        most = with_first<kDType>(block, g, most);
      }
      const auto d = hn::Div(most, hn::Set(df, static_cast<float>(-kMiddle)));
      const auto inverse = inverse_of(d);
      hn::Store(inverse, df, block.inverse + g);
      const auto is_zero = hn::RebindMask(di, hn::Eq(d, hn::Zero(df)));
      const auto is_number = hn::RebindMask(di, hn::Ne(inverse, hn::Zero(df)));
      const auto middle = hn::IfThenElseZero(hn::Or(is_zero, is_number), hn::Set(di, kMiddle));
      hn::Store(middle, di, block.zero_point + g);
      if (!store_halves(d, scales.d + g)) block.overflow = true;
    }
  }

  static bool overflows(const Scales& scales, std::size_t g) { return is_infinite(scales.d[g]); }

  template <class With>
  static HWY_INLINE void with_step(bool careful, With with) {
    if (careful) return with(UnsignedStep<kLevels, false, true>());
    with(UnsignedStep<kLevels, false, false>());
  }

  static HWY_INLINE void join(const Scales& scales, std::size_t g, const std::uint8_t* codes,
                              std::uint8_t* out) {
    std::memcpy(out, &scales.d[g], 2);
    if constexpr (kHasFifthBits) join_fifth_bits(codes, out + 2);
    join_nibbles(codes, out + kBytes - 16);
  }
  template <DType kDType>
  static HWY_INLINE void decode(const std::uint8_t* stored, std::byte* output) {
    const IntTag di;
    const auto d = hn::Set(FloatTag(), half_at(stored));
    alignas(64) std::uint8_t codes[kElements];
    split_nibbles(stored + kBytes - 16, codes);
    if constexpr (kHasFifthBits) add_fifth_bits(stored + 2, codes);
    decode_codes<kDType>(codes, kElements, output, [&](hn::Vec<CodeTag> code) HWY_ATTR {
      const auto whole = hn::Sub(hn::PromoteTo(di, code), hn::Set(di, kMiddle));
      return hn::Mul(hn::ConvertTo(FloatTag(), whole), d);
    });
  }

 private:
  // The same, with the first of both signs where both reach as far.
  template <DType kDType>
  static HWY_NOINLINE Floats with_first(const GroupBlock& block, std::size_t first, Floats most) {
    alignas(64) float values[kLanes];
    hn::Store(most, FloatTag(), values);
    for (std::size_t i = 0; i < kLanes && first + i < block.count; ++i) {
      const std::size_t g = first + i;
      if (block.hi[g] == -block.lo[g] && block.hi[g] != 0.0F) {
        values[i] = first_of_magnitude<kDType>(block.span(g), block.hi[g]);
      }
    }
    return hn::Load(FloatTag(), values);
  }
};

// From the least value of a block: q4_1, q5_1.
template <int kLevels>
struct FromLeast {
  static constexpr std::size_t kElements = 32;
  static constexpr bool kHasFifthBits = kLevels > 15;
  static constexpr std::size_t kBytes = kHasFifthBits ? 24 : 20;
  using Scales = BlockScales;

  // Zero is not included.
  template <DType kDType>
  static HWY_NOINLINE void find(const InputTile& input, GroupBlock& block, TileReport& report) {
    constexpr std::size_t kVectorBytes = kLanes * Source<kDType>::kBytes;
    const FloatTag df;
    const IntTag di;
    auto largest = hn::Zero(di);
    std::uintptr_t ahead = fetched_by_range(block, block.spans[0].data);
    for (std::size_t g = 0; g < block.count; ++g) {
      const std::byte* data = block.span(g).data;
      auto lo = Source<kDType>::load(data);
      auto hi = lo;
      auto reach = hn::Abs(lo);
      for (std::size_t i = 1; i < kElements / kLanes; ++i) {
        const auto x = Source<kDType>::load(data + i * kVectorBytes);
        lo = hn::Min(lo, x);
        hi = hn::Max(hi, x);
        reach = hn::BitCast(df, hn::Max(hn::BitCast(di, reach), hn::BitCast(di, hn::Abs(x))));
      }
      ahead = fetch_for_step<kElements * Source<kDType>::kBytes>(ahead);
      largest = hn::Max(largest, hn::BitCast(di, reach));
      block.lo[g] = hn::GetLane(hn::MinOfLanes(df, lo));
      block.hi[g] = hn::GetLane(hn::MaxOfLanes(df, hi));
    }
    block.non_finite = !hn::AllFalse(di, hn::Gt(largest, hn::Set(di, 0x7F7FFFFF)));
    for (std::size_t g = 0; g < block.count; ++g) {
      if (block.non_finite) find_finite<kDType>(input, block, g, report);
      // Of two zeros the first one is stored.
      if (block.lo[g] == 0.0F) block.lo[g] = first_of_magnitude<kDType>(block.span(g), 0.0F);
    }
  }

  template <DType kDType>
  static HWY_NOINLINE void parameters(GroupBlock& block, Scales& scales) {
    const FloatTag df;
    block.overflow = false;
    for (std::size_t g = 0; g < block.count; g += kLanes) {
      const auto lo = hn::Load(df, block.lo + g);
      // Of two zeros the difference is +0, whichever of them `hi` is.
      const auto width = hn::Add(hn::Sub(hn::Load(df, block.hi + g), lo), hn::Zero(df));
      const auto d = hn::Div(width, hn::Set(df, static_cast<float>(kLevels)));
      hn::Store(inverse_of(d), df, block.inverse + g);
      hn::Store(hn::Zero(IntTag()), IntTag(), block.zero_point + g);
      const bool fit = store_halves(d, scales.d + g);
      if (!store_halves(lo, scales.min + g) || !fit) block.overflow = true;
    }
  }

  static bool overflows(const Scales& scales, std::size_t g) {
    return is_infinite(scales.d[g]) || is_infinite(scales.min[g]);
  }

  template <class With>
  static HWY_INLINE void with_step(bool careful, With with) {
    if (careful) return with(UnsignedStep<kLevels, true, true>());
    with(UnsignedStep<kLevels, true, false>());
  }

  static HWY_INLINE void join(const Scales& scales, std::size_t g, const std::uint8_t* codes,
                              std::uint8_t* out) {
    std::memcpy(out, &scales.d[g], 2);
    std::memcpy(out + 2, &scales.min[g], 2);
    if constexpr (kHasFifthBits) join_fifth_bits(codes, out + 4);
    join_nibbles(codes, out + kBytes - 16);
  }
  template <DType kDType>
  static HWY_INLINE void decode(const std::uint8_t* stored, std::byte* output) {
    const auto d = hn::Set(FloatTag(), half_at(stored));
    const auto least = hn::Set(FloatTag(), half_at(stored + 2));
    alignas(64) std::uint8_t codes[kElements];
    split_nibbles(stored + kBytes - 16, codes);
    if constexpr (kHasFifthBits) add_fifth_bits(stored + 4, codes);
    decode_codes<kDType>(codes, kElements, output, [&](hn::Vec<CodeTag> code) HWY_ATTR {
      const auto whole = hn::ConvertTo(FloatTag(), hn::PromoteTo(IntTag(), code));
      return hn::Add(hn::Mul(whole, d), least);
    });
  }

 private:
  // The range of the finite values of a block, which may hold others.
  template <DType kDType>
  static HWY_NOINLINE void find_finite(const InputTile& input, GroupBlock& block, std::size_t g,
                                       TileReport& report) {
    const GroupSpan span = block.span(g);
    constexpr float kMost = 0x1.FFFFFEp127F;
    const Range found = finite_range<kDType>(span.data, span.count, flat_index(input, span), report,
                                             {.lo = kMost, .hi = -kMost});
    const bool has_any = found.lo <= found.hi;
    block.lo[g] = has_any ? found.lo : 0.0F;
    block.hi[g] = has_any ? found.hi : 0.0F;
  }
};

template <class Rule>
void encode(const EncodeTile& tile, TileReport& report) noexcept {
  encode_blocks<Rule>(tile, report);
}

template <class Rule>
void decode(const DecodeTile& tile) noexcept {
  decode_blocks<Rule>(tile);
}

template <class Rule>
const FormatKernels& kernels() {
  static constexpr FormatKernels kKernels{
      .target_name = QUARROW_COMPILED_TARGET, .encode = encode<Rule>, .decode = decode<Rule>};
  return kKernels;
}

const FormatKernels& q8_0() { return kernels<Q8_0>(); }
const FormatKernels& q4_0() { return kernels<AroundMiddle<15>>(); }
const FormatKernels& q5_0() { return kernels<AroundMiddle<31>>(); }
const FormatKernels& q4_1() { return kernels<FromLeast<15>>(); }
const FormatKernels& q5_1() { return kernels<FromLeast<31>>(); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quarrow {
namespace {
HWY_EXPORT(q8_0);
HWY_EXPORT(q4_0);
HWY_EXPORT(q4_1);
HWY_EXPORT(q5_0);
HWY_EXPORT(q5_1);
}  // namespace

const FormatKernels& q8_0_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(q8_0, target)();
}
const FormatKernels& q4_0_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(q4_0, target)();
}
const FormatKernels& q4_1_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(q4_1, target)();
}
const FormatKernels& q5_0_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(q5_0, target)();
}
const FormatKernels& q5_1_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(q5_1, target)();
}

}  // namespace quarrow
#endif  // HWY_ONCE
