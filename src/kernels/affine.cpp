// SPDX-License-Identifier: Apache-2.0
//
// int8, int4 and int2 by torchao's affine rule. With b bits and levels = 2^b - 1, in f32:
//
//   lo = min(0, min), hi = max(0, max)
//   scale = (hi - lo) / levels, or symmetric max(-lo, hi) / (levels / 2);  at least 2^-126
//   zero point = clamp(RNE(-lo / scale), 0, levels), or symmetric 2^(b-1)
//   scale = RN(scale) in its dtype, clamped to [smallest normal, largest finite]
//   inverse = RN(1 / scale) in the same dtype
//   code = clamp(RNE(x * inverse) + zero point, 0, levels); symmetric less 2^(b-1)
//
// |x - restored| <= (1/2 + 2^-10) * scale with f32 scales, where the code was not clamped.
//
// Codes: one a byte, or packed as narrow-inl.h pictures it, each row from a byte of its own.
#include "kernels/affine.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/affine.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include "kernels/decode-inl.h"
#include "kernels/target_table.h"
#include "kernels/walk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {
namespace {

template <DType kScale>
HWY_INLINE Floats round_to(Floats value) {
  if constexpr (kScale == DType::kF16) return round_to_f16(value);
  if constexpr (kScale == DType::kBF16) return round_to_bf16(value);
  return value;
}

template <DType kScale>
HWY_INLINE Floats clamp_scale(Floats scale) {
  const FloatTag df;
  const float smallest = kScale == DType::kF16 ? 0x1p-14F : 0x1p-126F;
  const float largest = kScale == DType::kF16    ? 65504.0F
                        : kScale == DType::kBF16 ? 0x1.FEp127F
                                                 : 0x1.FFFFFEp127F;
  return hn::Min(hn::Max(scale, hn::Set(df, smallest)), hn::Set(df, largest));
}

// Nearest integer, ties to even, of |value| < 2^22.
HWY_INLINE Floats nearest(Floats value) {
  const auto magic = hn::Set(FloatTag(), kMagic);
  return hn::Sub(hn::Add(value, magic), magic);
}

template <DType kScale>
HWY_INLINE void affine_parameters(const CodeRule& rule, GroupBlock& block) {
  const FloatTag df;
  const IntTag di;
  const int level_count = (1 << rule.bits) - 1;
  const auto levels = hn::Set(df, static_cast<float>(level_count));
  const auto half_levels = hn::Set(df, static_cast<float>(level_count) / 2);
  const auto middle = hn::Set(di, 1 << (rule.bits - 1));
  auto greatest_quotient = hn::Zero(df);
  auto greatest_width = hn::Zero(df);
  for (std::size_t g = 0; g < block.count; g += kLanes) {
    const auto lo = hn::Load(df, block.lo + g);
    const auto hi = hn::Load(df, block.hi + g);
    const auto reach = hn::Max(hn::Neg(lo), hi);
    const auto width = hn::Sub(hi, lo);
    const auto range = rule.symmetric ? hn::Div(reach, half_levels) : hn::Div(width, levels);
    const auto exact = hn::Max(range, hn::Set(df, 0x1p-126F));
    const auto steps_below_zero = hn::Neg(nearest(hn::Div(lo, exact)));
    const auto zero_point = hn::Min(hn::Max(steps_below_zero, hn::Zero(df)), levels);
    const auto scale = clamp_scale<kScale>(round_to<kScale>(exact));
    const auto inverse = round_to<kScale>(hn::Div(hn::Set(df, 1.0F), scale));
    hn::Store(scale, df, block.scale + g);
    hn::Store(inverse, df, block.inverse + g);
    hn::Store(rule.symmetric ? middle : hn::ConvertTo(di, zero_point), di, block.zero_point + g);
    greatest_quotient = hn::Max(greatest_quotient, hn::Mul(reach, inverse));
    greatest_width = hn::Max(greatest_width, width);
  }
  block.bounded = hn::AllTrue(df, hn::Le(greatest_quotient, hn::Set(df, kMaxQuotient)));
  block.overflow =
      !rule.symmetric && !hn::AllTrue(df, hn::Le(greatest_width, hn::Set(df, 0x1.FFFFFEp127F)));
}

struct AffineRule {
  static constexpr Role kScales = Role::kScales;
  static constexpr bool kNarrowRows = true;
  static constexpr bool kDivides = false;
  static HWY_NOINLINE void parameters(const CodeRule& rule, GroupBlock& block) {
    switch (rule.scale_dtype) {
      case DType::kF16:
        return affine_parameters<DType::kF16>(rule, block);
      case DType::kBF16:
        return affine_parameters<DType::kBF16>(rule, block);
      case DType::kF32:
      case DType::kF64:  // not offered: Format::scale_dtype
        return affine_parameters<DType::kF32>(rule, block);
    }
  }

  template <class With>
  static HWY_INLINE void with_step(const CodeRule& rule, bool careful, With with) {
    with_integer_step<kDivides>(rule, careful, with);
  }
};

void encode(const EncodeTile& tile, TileReport& report) noexcept {
  encode_tile<AffineRule>(tile, tile.rule, report);
}

void decode(const DecodeTile& tile) noexcept { decode_integers(tile); }

const FormatKernels& affine() {
  static constexpr FormatKernels kKernels{
      .target_name = QUARROW_COMPILED_TARGET, .encode = encode, .decode = decode};
  return kKernels;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quarrow {
namespace {
HWY_EXPORT(affine);
}  // namespace

const FormatKernels& affine_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(affine, target)();
}

}  // namespace quarrow
#endif  // HWY_ONCE
