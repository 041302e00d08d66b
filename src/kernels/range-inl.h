// SPDX-License-Identifier: Apache-2.0
//
// The range of a group, and whether it holds NaN or Inf, in two integer operations a vector.
//
// Floating-point patterns (f16, bf16, f32: sign, exponent, mantissa) are ordered by magnitude
// within a sign. So, starting from +0 and -0:
//   largest as signed integers    the greatest positive value; NaN and Inf rank above all
//   largest as unsigned integers  the most negative value; -NaN and -Inf rank above all
// A group has a non-finite value exactly where one of the two has an exponent of all ones. The
// order is that of the values, so 16-bit types are compared in their own 16 bits.

#if defined(QUARROW_KERNELS_RANGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_RANGE_INL_H_
#undef QUARROW_KERNELS_RANGE_INL_H_
#else
#define QUARROW_KERNELS_RANGE_INL_H_
#endif

#include <hwy/cache_control.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/format_kernels.h"
#include "kernels/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

inline constexpr std::size_t kCacheLine = 64;

// Fetches one cache line of the input to come into the first-level cache, and one far behind it
// into the second: few lines can be on their way to the first level at once, too few for memory.
inline constexpr std::size_t kFarther = 56 * 1024;

// An address, no pointer: it may lie beyond the input.
HWY_INLINE void fetch(std::uintptr_t line) {
  hwy::Prefetch(reinterpret_cast<const std::byte*>(line));
  __builtin_prefetch(reinterpret_cast<const void*>(line + kFarther), /*rw=*/0, /*locality=*/2);
}

// Fetches half as much as a step reads from `ahead` on, once for each line, and returns from where
// on the next step fetches; 0 for nothing.
template <std::size_t kStepBytes>
HWY_INLINE std::uintptr_t fetch_for_step(std::uintptr_t ahead) {
  constexpr std::size_t kFetched = kStepBytes / 2;
  if (ahead == 0) return 0;
  if constexpr (kFetched < kCacheLine) {
    if (ahead % kCacheLine < kFetched) fetch(ahead);
  } else {
    for (std::size_t line = 0; line < kFetched; line += kCacheLine) fetch(ahead + line);
  }
  return ahead + kFetched;
}

// The magnitudes of the extremes of one group in a register, as far as they were seen: patterns
// without their sign, those of 16-bit types in the upper half.
struct Extremes {
  Ints hi;
  Ints lo;
};

// The patterns of a source as the range pass reads them. f64 is read as f32.
template <DType kDType>
struct Patterns {
  using Tag = UintTag;
  static constexpr std::size_t kCount = kLanes;
  static HWY_INLINE Uints load(const std::byte* data) {
    return hn::BitCast(UintTag(), Source<kDType>::load(data));
  }
  static HWY_INLINE Ints widen(hn::Vec<IntTag> hi) { return hi; }
};

struct Patterns16 {
  using Tag = Uint16Tag;
  static constexpr std::size_t kCount = 2 * kLanes;
  static HWY_INLINE hn::Vec<Uint16Tag> load(const std::byte* data) {
    return load_bytes(Uint16Tag(), data);
  }
  static HWY_INLINE Ints widen(hn::Vec<hn::RebindToSigned<Uint16Tag>> value) {
    const IntTag di;
    const auto pairs = hn::BitCast(di, value);
    return hn::Max(hn::And(pairs, hn::Set(di, static_cast<std::int32_t>(0xFFFF0000))),
                   hn::ShiftLeft<16>(pairs));
  }
};
template <>
struct Patterns<DType::kF16> : Patterns16 {};
template <>
struct Patterns<DType::kBF16> : Patterns16 {};

// The largest patterns that were seen. Always made by nothing(): an implicit default constructor
// would not be compiled for the target.
template <DType kDType>
struct Largest {
  using Group = Patterns<kDType>;
  using Unsigned = typename Group::Tag;
  using Signed = hn::RebindToSigned<Unsigned>;

  hn::Vec<Signed> hi;
  hn::Vec<Unsigned> lo;

  static HWY_INLINE hn::Vec<Unsigned> minus_zero() {
    return hn::BitCast(Unsigned(), hn::SignBit(Signed()));
  }
  static HWY_INLINE Largest nothing() { return {hn::Zero(Signed()), minus_zero()}; }

  HWY_INLINE void include(hn::Vec<Unsigned> pattern) {
    hi = hn::Max(hi, hn::BitCast(Signed(), pattern));
    lo = hn::Max(lo, pattern);
  }
  HWY_INLINE void include(const Largest& other) {
    hi = hn::Max(hi, other.hi);
    lo = hn::Max(lo, other.lo);
  }
  HWY_INLINE Extremes extremes() const {
    return {Group::widen(hi), Group::widen(hn::BitCast(Signed(), hn::Xor(lo, minus_zero())))};
  }
};

// `ahead`: what to fetch meanwhile, half as many lines as are read; 0 for nothing.
template <DType kDType>
HWY_INLINE Extremes find_extremes(const std::byte* data, std::size_t count, std::uintptr_t ahead) {
  using Group = Patterns<kDType>;
  constexpr std::size_t kBytes = Source<kDType>::kBytes;
  constexpr std::size_t kVectorBytes = Group::kCount * kBytes;
  constexpr std::size_t kStepBytes = std::max(2 * kCacheLine, kVectorBytes);
  auto largest = Largest<kDType>::nothing();
  const auto include = [&](const std::byte* at) HWY_ATTR { largest.include(Group::load(at)); };
  const std::size_t bytes = count * kBytes;
  if (bytes >= kVectorBytes) {
    std::size_t at = 0;
    for (; at + kStepBytes <= bytes; at += kStepBytes) {
      ahead = fetch_for_step<kStepBytes>(ahead);
      for (std::size_t i = 0; i < kStepBytes; i += kVectorBytes) include(data + at + i);
    }
    for (; at + kVectorBytes <= bytes; at += kVectorBytes) include(data + at);
    // The last vector overlaps the one before, which changes no maximum.
    if (at != bytes) include(data + bytes - kVectorBytes);
  } else if (kVectorBytes == hn::MaxLanes(ByteTag()) && 2 * bytes >= kVectorBytes) {
    // Two halves that overlap: a copy into memory would have to wait until it can be read again.
    const hn::Half<ByteTag> half;
    const auto* first = reinterpret_cast<const std::uint8_t*>(data);
    const auto* last = first + bytes - kVectorBytes / 2;
    largest.include(hn::BitCast(typename Group::Tag(), hn::Combine(ByteTag(), hn::LoadU(half, last),
                                                                   hn::LoadU(half, first))));
  } else {
    alignas(64) std::byte padded[kVectorBytes] = {};
    if (bytes != 0) std::memcpy(padded, data, bytes);
    include(padded);
  }
  return largest.extremes();
}

template <class Tag>
HWY_INLINE hn::Vec<hn::Full128<std::int32_t>> fold_to_128(Tag tag, hn::Vec<Tag> value) {
  if constexpr (hn::MaxLanes(tag) == 4) {
    return value;
  } else {
    const hn::Half<Tag> half;
    return fold_to_128(half, hn::Max(hn::LowerHalf(half, value), hn::UpperHalf(half, value)));
  }
}

// Writes the largest lane of each: out[0] of hi, out[1] of lo.
HWY_INLINE void store_extremes(const Extremes& extremes, std::int32_t* out) {
  const IntTag di;
  const hn::Full128<std::int32_t> d128;
  const auto pairs = hn::Max(hn::InterleaveLower(di, extremes.hi, extremes.lo),
                             hn::InterleaveUpper(di, extremes.hi, extremes.lo));
  const auto folded = fold_to_128(di, pairs);
  const auto both = hn::Max(folded, hn::Shuffle1032(folded));
  hn::StoreU(hn::LowerHalf(both), hn::Half<decltype(d128)>(), out);
}

// The f32 values of magnitudes that find_extremes left.
template <DType kDType>
HWY_INLINE Floats magnitude_values(Ints magnitudes) {
  if constexpr (kDType == DType::kF16) {
    return decode_f16(hn::BitCast(UintTag(), hn::ShiftRight<16>(magnitudes)));
  } else {
    return hn::BitCast(FloatTag(), magnitudes);
  }
}

inline bool is_finite(float value) {
  return (std::bit_cast<std::uint32_t>(value) & 0x7F800000U) != 0x7F800000U;
}

inline NonFiniteKind kind_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x007FFFFFU) != 0) return NonFiniteKind::kNaN;
  return (bits >> 31) != 0 ? NonFiniteKind::kNegativeInf : NonFiniteKind::kPositiveInf;
}

inline void note_non_finite(float value, std::uint64_t index, TileReport& report) {
  if (report.non_finite++ != 0) return;
  report.first_non_finite = index;
  report.kind = kind_of(value);
}

inline void note_beyond_f32(double value, std::uint64_t index, TileReport& report) {
  if (report.beyond_f32++ != 0) return;
  report.first_beyond_f32 = index;
  report.value_beyond_f32 = value;
}

// Goes through a group known to hold values that are not finite in f32, one by one: adds them to
// the report and returns `range` with the rest. `first_index` is the flat index of the group's
// first element.
template <DType kDType>
HWY_NOINLINE Range finite_range(const std::byte* data, std::size_t count, std::uint64_t first_index,
                                TileReport& report, Range range = {}) {
  constexpr std::size_t kBytes = Source<kDType>::kBytes;
  for (std::size_t i = 0; i < count; i += kLanes) {
    const std::size_t here = std::min(kLanes, count - i);
    alignas(64) std::byte padded[kLanes * kBytes] = {};
    std::memcpy(padded, data + i * kBytes, here * kBytes);
    alignas(64) float values[kLanes];
    hn::StoreU(Source<kDType>::load(padded), FloatTag(), values);
    for (std::size_t j = 0; j < here; ++j) {
      if (is_finite(values[j])) {
        range.lo = std::min(range.lo, values[j]);
        range.hi = std::max(range.hi, values[j]);
        continue;
      }
      const std::uint64_t index = first_index + i + j;
      if constexpr (kDType == DType::kF64) {
        double original;
        std::memcpy(&original, padded + j * kBytes, kBytes);
        if (std::isfinite(original)) {
          note_beyond_f32(original, index, report);
          continue;
        }
      }
      note_non_finite(values[j], index, report);
    }
  }
  return range;
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_RANGE_INL_H_
