// SPDX-License-Identifier: Apache-2.0
//
// f32 rounded to f16 and bf16, to nearest, ties to even, in integers: Highway 1.0.3 truncates, f16
// on some targets and bf16 on all. A NaN stays a (quiet) NaN, what overflows becomes Inf, and
// subnormals are exact.

#if defined(QUARROW_KERNELS_STORE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_STORE_INL_H_
#undef QUARROW_KERNELS_STORE_INL_H_
#else
#define QUARROW_KERNELS_STORE_INL_H_
#endif

#include "kernels/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

// Half of the last kept bit, less one, plus the last kept bit: what carries exactly when rounding
// to nearest even goes up.
template <int kDroppedBits>
HWY_INLINE Uints rounded_shift(Uints bits) {
  const UintTag du;
  const auto odd = hn::And(hn::ShiftRight<kDroppedBits>(bits), hn::Set(du, 1));
  const auto half = hn::Set(du, (1U << (kDroppedBits - 1)) - 1);
  return hn::ShiftRight<kDroppedBits>(hn::Add(bits, hn::Add(odd, half)));
}

// The bf16 pattern in the low half of each lane.
HWY_INLINE Uints encode_bf16(Floats value) {
  const UintTag du;
  const auto bits = hn::BitCast(du, value);
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(du, 0x0040));
  // By its bits: Highway 1.0.3 says of a NaN that it is not unequal to itself on AVX2 and AVX-512.
  const auto magnitude = hn::BitCast(IntTag(), hn::And(bits, hn::Set(du, 0x7FFFFFFF)));
  const auto is_nan = hn::RebindMask(du, hn::Gt(magnitude, hn::Set(IntTag(), 0x7F800000)));
  return hn::IfThenElse(is_nan, quiet, rounded_shift<16>(bits));
}

// The f16 pattern in the low half of each lane.
HWY_INLINE Uints encode_f16(Floats value) {
  const UintTag du;
  const IntTag di;
  const FloatTag df;
  const auto bits = hn::BitCast(du, value);
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFF));
  const auto as_int = hn::BitCast(di, magnitude);
  const auto normal = rounded_shift<13>(hn::Sub(magnitude, hn::Set(du, 112U << 23)));
  // 0.5 has its last bit at 2^-24, the step of the f16 subnormals: the addition rounds to it.
  const auto sum = hn::Add(hn::BitCast(df, magnitude), hn::Set(df, 0.5F));
  const auto subnormal = hn::Sub(hn::BitCast(du, sum), hn::Set(du, 0x3F000000));
  const auto is_subnormal = hn::Lt(as_int, hn::Set(di, 0x38800000));
  const auto is_infinite = hn::Gt(as_int, hn::Set(di, 0x477FEFFF));  // 65520 and above
  const auto is_nan = hn::Gt(as_int, hn::Set(di, 0x7F800000));
  auto pattern = hn::IfThenElse(hn::RebindMask(du, is_subnormal), subnormal, normal);
  pattern = hn::IfThenElse(hn::RebindMask(du, is_infinite), hn::Set(du, 0x7C00), pattern);
  pattern = hn::IfThenElse(hn::RebindMask(du, is_nan), hn::Set(du, 0x7E00), pattern);
  return hn::Or(pattern, hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000)));
}

HWY_INLINE Floats round_to_f16(Floats value) { return decode_f16(encode_f16(value)); }

HWY_INLINE Floats round_to_bf16(Floats value) {
  return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(encode_bf16(value)));
}

template <DType kDType>
struct Sink;

template <>
struct Sink<DType::kF32> {
  static constexpr DType kDType = DType::kF32;
  static constexpr std::size_t kBytes = 4;
  static HWY_INLINE void store(Floats values, std::byte* output) {
    hn::StoreU(hn::BitCast(ByteTag(), values), ByteTag(), reinterpret_cast<std::uint8_t*>(output));
  }
};

HWY_INLINE void store_low_halves(Uints patterns, std::byte* output) {
  const hn::Repartition<std::uint8_t, HalfUint16Tag> bytes;
  const auto halves = hn::TruncateTo(HalfUint16Tag(), patterns);
  hn::StoreU(hn::BitCast(bytes, halves), bytes, reinterpret_cast<std::uint8_t*>(output));
}

template <>
struct Sink<DType::kF16> {
  static constexpr DType kDType = DType::kF16;
  static constexpr std::size_t kBytes = 2;
  static HWY_INLINE void store(Floats values, std::byte* output) {
    store_low_halves(encode_f16(values), output);
  }
};

template <>
struct Sink<DType::kBF16> {
  static constexpr DType kDType = DType::kBF16;
  static constexpr std::size_t kBytes = 2;
  static HWY_INLINE void store(Floats values, std::byte* output) {
    store_low_halves(encode_bf16(values), output);
  }
};

// Calls body(Sink<dtype>()) of f32, f16 or bf16.
template <class Body>
HWY_INLINE void with_sink(DType dtype, Body body) {
  switch (dtype) {
    case DType::kF16:
      return body(Sink<DType::kF16>());
    case DType::kBF16:
      return body(Sink<DType::kBF16>());
    case DType::kF32:
    case DType::kF64:  // never written
      return body(Sink<DType::kF32>());
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_STORE_INL_H_
