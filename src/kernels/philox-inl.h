// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): one counter a
// lane, and of the four output words the first.
//
//   key      low and high half of a 64-bit key
//   counter  low and high half of the element's flat index, 0, 0

#if defined(QUARROW_KERNELS_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_PHILOX_INL_H_
#undef QUARROW_KERNELS_PHILOX_INL_H_
#else
#define QUARROW_KERNELS_PHILOX_INL_H_
#endif

#include "kernels/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

struct WideProduct {
  Uints high;
  Uints low;
};

HWY_INLINE WideProduct multiply_wide(Uints a, std::uint32_t multiplier) {
  const UintTag du;
  const hn::Repartition<std::uint64_t, UintTag> du64;
  const auto factor = hn::Set(du, multiplier);
  const auto even = hn::MulEven(a, factor);
  const auto odd_lanes = hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(du64, a)));
  const auto odd = hn::MulEven(odd_lanes, factor);
  return {hn::OddEven(hn::BitCast(du, odd), hn::BitCast(du, hn::ShiftRight<32>(even))),
          hn::OddEven(hn::BitCast(du, hn::ShiftLeft<32>(odd)), hn::BitCast(du, even))};
}

// The first words for the counters first_index, first_index + 1, ... one a lane.
HWY_INLINE Uints philox_words(std::uint64_t key, std::uint64_t first_index) {
  const UintTag du;
  const auto lane = hn::Iota(du, 0U);
  auto c0 = hn::Add(hn::Set(du, static_cast<std::uint32_t>(first_index)), lane);
  const auto carry = hn::VecFromMask(du, hn::Lt(c0, lane));  // all ones is -1
  auto c1 = hn::Sub(hn::Set(du, static_cast<std::uint32_t>(first_index >> 32)), carry);
  auto c2 = hn::Zero(du);
  auto c3 = hn::Zero(du);
  auto key_low = static_cast<std::uint32_t>(key);
  auto key_high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const WideProduct first = multiply_wide(c0, 0xD2511F53U);
    const WideProduct second = multiply_wide(c2, 0xCD9E8D57U);
    c0 = hn::Xor(hn::Xor(second.high, c1), hn::Set(du, key_low));
    c1 = second.low;
    c2 = hn::Xor(hn::Xor(first.high, c3), hn::Set(du, key_high));
    c3 = first.low;
    key_low += 0x9E3779B9U;
    key_high += 0xBB67AE85U;
  }
  return c0;
}

// Uniform in [0, 1): the top 24 bits, which f32 holds exactly.
HWY_INLINE Floats philox_uniform(std::uint64_t key, std::uint64_t first_index) {
  const FloatTag df;
  const auto bits = hn::BitCast(IntTag(), hn::ShiftRight<8>(philox_words(key, first_index)));
  return hn::Mul(hn::ConvertTo(df, bits), hn::Set(df, 0x1p-24F));
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_PHILOX_INL_H_
