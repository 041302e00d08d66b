// SPDX-License-Identifier: Apache-2.0
//
// ComfyUI's int8 with a scale a row (comfy-kitchen's quantize_int8_rowwise), in f32:
//
//   scale = max(max |x| / 127, 1e-30)
//   code = clamp(RNE(RN(x / scale)), -128, 127), an i8
//
// RN(x / scale) is a true division; integer_step-inl.h says how it is had without one.
// |x - restored| <= (1/2 + 2^-16) * scale.
#include "kernels/int8_rowwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/int8_rowwise.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include "kernels/decode-inl.h"
#include "kernels/target_table.h"
#include "kernels/walk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {
namespace {

struct Int8RowwiseRule {
  static constexpr Role kScales = Role::kScales;
  static constexpr bool kNarrowRows = true;
  static constexpr bool kDivides = true;
  static HWY_NOINLINE void parameters(const CodeRule& /*rule*/, GroupBlock& block) {
    const FloatTag df;
    const IntTag di;
    auto greatest_quotient = hn::Zero(df);
    for (std::size_t g = 0; g < block.count; g += kLanes) {
      const auto lo = hn::Load(df, block.lo + g);
      const auto reach = hn::Max(hn::Neg(lo), hn::Load(df, block.hi + g));
      const auto scale = hn::Max(hn::Div(reach, hn::Set(df, 127.0F)), hn::Set(df, 1e-30F));
      const auto inverse = hn::Div(hn::Set(df, 1.0F), scale);
      hn::Store(scale, df, block.scale + g);
      hn::Store(inverse, df, block.inverse + g);
      hn::Store(hn::Set(di, 128), di, block.zero_point + g);
      greatest_quotient = hn::Max(greatest_quotient, hn::Mul(reach, inverse));
    }
    block.bounded = hn::AllTrue(df, hn::Le(greatest_quotient, hn::Set(df, kMaxQuotient)));
  }

  template <class With>
  static HWY_INLINE void with_step(const CodeRule& rule, bool careful, With with) {
    with_integer_step<kDivides>(rule, careful, with);
  }
};

// What the format fixes, whatever the caller filled in.
CodeRule fixed(CodeRule rule) {
  rule.bits = 8;
  rule.symmetric = true;
  rule.packed = false;
  rule.stochastic = false;
  return rule;
}

void encode(const EncodeTile& tile, TileReport& report) noexcept {
  encode_tile<Int8RowwiseRule>(tile, fixed(tile.rule), report);
}

void decode(const DecodeTile& tile) noexcept {
  DecodeTile job = tile;
  job.rule = fixed(tile.rule);
  decode_integers(job);
}

const FormatKernels& int8_rowwise() {
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
HWY_EXPORT(int8_rowwise);
}  // namespace

const FormatKernels& int8_rowwise_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(int8_rowwise, target)();
}

}  // namespace quarrow
#endif  // HWY_ONCE
