// SPDX-License-Identifier: Apache-2.0
//
// Input of any dtype and alignment as vectors of f32.
//
//   f32   as it is
//   bf16  the upper 16 bits of an f32
//   f16   s eeeee mmmmmmmmmm: the exponent is rebased from 15 to 127; Highway 1.0.3's own decode is
//         used where it is the instruction, since its emulation makes Inf and NaN finite
//   f64   rounded to nearest even; what overflows becomes Inf

#if defined(QUARROW_KERNELS_LOAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_LOAD_INL_H_
#undef QUARROW_KERNELS_LOAD_INL_H_
#else
#define QUARROW_KERNELS_LOAD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quarrow/core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::RebindToSigned<FloatTag>;
using UintTag = hn::RebindToUnsigned<FloatTag>;
using ByteTag = hn::Repartition<std::uint8_t, FloatTag>;
using Uint16Tag = hn::Repartition<std::uint16_t, FloatTag>;
using HalfUint16Tag = hn::Rebind<std::uint16_t, FloatTag>;  // as many lanes as FloatTag
using CodeTag = hn::Rebind<std::uint8_t, FloatTag>;         // the same
using Floats = hn::Vec<FloatTag>;
using Ints = hn::Vec<IntTag>;
using Uints = hn::Vec<UintTag>;
using Bytes = hn::Vec<ByteTag>;

inline constexpr std::size_t kLanes = hn::MaxLanes(FloatTag());

// Loads go through bytes, so that no pointer to a wider type is ever misaligned.
template <class Tag>
HWY_INLINE hn::Vec<Tag> load_bytes(Tag tag, const std::byte* data) {
  const hn::Repartition<std::uint8_t, Tag> bytes;
  return hn::BitCast(tag, hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(data)));
}

// f16 patterns in the low half of each lane.
HWY_INLINE Floats decode_f16(Uints pattern) {
  const UintTag du;
  const IntTag di;
  const FloatTag df;
  const auto shifted = hn::ShiftLeft<13>(hn::And(pattern, hn::Set(du, 0x7FFF)));
  const auto rebased = hn::Add(shifted, hn::Set(du, 112U << 23));
  const auto infinite = hn::Add(shifted, hn::Set(du, 224U << 23));
  // With the exponent of 2^-14 the mantissa of a subnormal reads as 2^-14 too much.
  const auto subnormal =
      hn::Sub(hn::BitCast(df, hn::Add(shifted, hn::Set(du, 113U << 23))), hn::Set(df, 0x1p-14F));
  const auto as_int = hn::BitCast(di, shifted);
  const auto is_infinite = hn::Gt(as_int, hn::Set(di, (0x7C00 << 13) - 1));
  const auto is_subnormal = hn::Lt(as_int, hn::Set(di, 0x0400 << 13));
  auto bits = hn::IfThenElse(hn::RebindMask(du, is_infinite), infinite, rebased);
  bits = hn::IfThenElse(hn::RebindMask(du, is_subnormal), hn::BitCast(du, subnormal), bits);
  const auto sign = hn::ShiftLeft<16>(hn::And(pattern, hn::Set(du, 0x8000)));
  return hn::BitCast(df, hn::Or(bits, sign));
}

HWY_INLINE Floats widen_f16(hn::Vec<HalfUint16Tag> pattern) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || (HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64)
  return hn::PromoteTo(FloatTag(), hn::BitCast(hn::Rebind<hwy::float16_t, FloatTag>(), pattern));
#else
  return decode_f16(hn::PromoteTo(UintTag(), pattern));
#endif
}

template <DType kDType>
struct Source;

template <>
struct Source<DType::kF32> {
  static constexpr DType kDType = DType::kF32;
  static constexpr std::size_t kBytes = 4;
  static HWY_INLINE Floats load(const std::byte* data) { return load_bytes(FloatTag(), data); }
};

template <>
struct Source<DType::kBF16> {
  static constexpr DType kDType = DType::kBF16;
  static constexpr std::size_t kBytes = 2;
  static HWY_INLINE Floats load(const std::byte* data) {
    const auto pattern = hn::PromoteTo(UintTag(), load_bytes(HalfUint16Tag(), data));
    return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(pattern));
  }
};

template <>
struct Source<DType::kF16> {
  static constexpr DType kDType = DType::kF16;
  static constexpr std::size_t kBytes = 2;
  static HWY_INLINE Floats load(const std::byte* data) {
    return widen_f16(load_bytes(HalfUint16Tag(), data));
  }
};

template <>
struct Source<DType::kF64> {
  static constexpr DType kDType = DType::kF64;
  static constexpr std::size_t kBytes = 8;
  static HWY_INLINE Floats load(const std::byte* data) {
#if HWY_TARGET == HWY_EMU128
    // Highway's scalar DemoteTo makes what overflows the largest finite value.
    HWY_ALIGN float values[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) {
      double value;
      std::memcpy(&value, data + i * sizeof value, sizeof value);
      values[i] = static_cast<float>(value);
    }
    return hn::Load(FloatTag(), values);
#else
    const hn::Half<FloatTag> half;
    const hn::Repartition<double, FloatTag> wide;
    const auto lower = hn::DemoteTo(half, load_bytes(wide, data));
    const auto upper = hn::DemoteTo(half, load_bytes(wide, data + kBytes * (kLanes / 2)));
    return hn::Combine(FloatTag(), upper, lower);
#endif
  }
};

// Calls body(Source<dtype>()).
template <class Body>
HWY_INLINE void with_source(DType dtype, Body body) {
  switch (dtype) {
    case DType::kF32:
      return body(Source<DType::kF32>());
    case DType::kF16:
      return body(Source<DType::kF16>());
    case DType::kBF16:
      return body(Source<DType::kBF16>());
    case DType::kF64:
      return body(Source<DType::kF64>());
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_LOAD_INL_H_
