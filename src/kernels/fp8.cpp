// SPDX-License-Identifier: Apache-2.0
//
// Floats of 8 bits as ComfyUI loads them (comfy-kitchen's quantize_per_tensor_fp8, computed in
// f32). With `largest` 448 (E4M3) or 57344 (E5M2), in f32:
//
//   scale = max |x| / largest, of the tensor; at least 2^-126, and 1 where all x are 0
//   code = the float of 8 bits nearest to clamp(x * RN(1 / scale), -largest, largest), ties to even
//
// Without a scale, a plain cast, the code is that of clamp(x). Restored is code * scale.
// |x - restored| <= |x| / 16 (E5M2: |x| / 8) + scale * half of the least subnormal, where not
// clamped.
#include "kernels/fp8.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/fp8.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include "kernels/decode-inl.h"
#include "kernels/float8-inl.h"
#include "kernels/target_table.h"
#include "kernels/walk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {
namespace {

template <class Type, bool kCareful>
struct Float8Step {
  struct Group {
    Floats inverse;
  };
  static HWY_INLINE Group group(const TileCode& /*common*/, const GroupBlock& block,
                                std::size_t g) {
    return {.inverse = hn::Set(FloatTag(), block.inverse[g])};
  }
  static HWY_INLINE Bytes encode(Floats x0, Floats x1, Floats x2, Floats x3, const Group& low,
                                 const Group& high, std::uint64_t /*index*/) {
    return join_codes(code(x0, low), code(x1, low), code(x2, high), code(x3, high));
  }

 private:
  static HWY_INLINE Ints code(Floats x, const Group& group) {
    if constexpr (kCareful) x = hn::IfThenElseZero(hn::Eq(x, x), x);
    return hn::BitCast(IntTag(), encode_float8<Type>(hn::Mul(x, group.inverse)));
  }
};

template <class Type>
struct Float8Rule {
  static constexpr Role kScales = Role::kTensorScale;
  static constexpr bool kNarrowRows = false;

  static HWY_NOINLINE void parameters(const CodeRule& rule, GroupBlock& block) {
    for (std::size_t g = 0; g < block.count; ++g) {
      const float reach = std::max(-block.lo[g], block.hi[g]);
      const bool is_one = !rule.scaled || reach == 0.0F;
      block.scale[g] = is_one ? 1.0F : std::max(reach / Type::kLargest, 0x1p-126F);
      block.inverse[g] = 1.0F / block.scale[g];
      block.zero_point[g] = 0;
    }
  }

  template <class With>
  static HWY_INLINE void with_step(const CodeRule& /*rule*/, bool careful, With with) {
    if (careful) return with(Float8Step<Type, true>());
    with(Float8Step<Type, false>());
  }
};

template <class Type>
void encode(const EncodeTile& tile, TileReport& report) noexcept {
  encode_tile<Float8Rule<Type>>(tile, tile.rule, report);
}

template <class Type>
void decode(const DecodeTile& tile) noexcept {
  float tensor_scale = 1.0F;
  const std::byte* const stored = tile.parts[Role::kTensorScale].data;
  if (stored != nullptr) std::memcpy(&tensor_scale, stored, sizeof tensor_scale);
  const auto scale = hn::Set(FloatTag(), tensor_scale);
  decode_alike(tile, [&scale](hn::Vec<CodeTag> codes)
                         HWY_ATTR { return hn::Mul(decode_float8<Type>(codes), scale); });
}

template <class Type>
const FormatKernels& fp8() {
  static constexpr FormatKernels kKernels{
      .target_name = QUARROW_COMPILED_TARGET, .encode = encode<Type>, .decode = decode<Type>};
  return kKernels;
}

const FormatKernels& fp8_e4m3() { return fp8<E4M3>(); }
const FormatKernels& fp8_e5m2() { return fp8<E5M2>(); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace quarrow {
namespace {
HWY_EXPORT(fp8_e4m3);
HWY_EXPORT(fp8_e5m2);
}  // namespace

const FormatKernels& fp8_e4m3_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(fp8_e4m3, target)();
}

const FormatKernels& fp8_e5m2_kernels(Target target) noexcept {
  return QUARROW_TABLE_ENTRY(fp8_e5m2, target)();
}

}  // namespace quarrow
#endif  // HWY_ONCE
