// SPDX-License-Identifier: Apache-2.0
//
// Codes between 32-bit lanes, bytes, and 4 or 2 bits. Low bits first:
//
//   4 bits   byte i = code 2i | code 2i+1 << 4
//   2 bits   byte i = code 4i | code 4i+1 << 2 | code 4i+2 << 4 | code 4i+3 << 6

#if defined(QUARROW_KERNELS_NARROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_NARROW_INL_H_
#undef QUARROW_KERNELS_NARROW_INL_H_
#else
#define QUARROW_KERNELS_NARROW_INL_H_
#endif

#include "kernels/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

using Int16Tag = hn::RebindToSigned<Uint16Tag>;

// narrow_32(a, b) and narrow_16(a, b) saturate to i16 and to u8 and put b behind a, within each
// 128-bit block; restore_order() puts the blocks of four narrowed vectors right, and
// restore_pair_order() those of two.
#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128
// Highway 1.0.3 has no i16 to u8 narrowing of two vectors.
HWY_INLINE hn::Vec<hn::Full128<std::uint8_t>> narrow_16(hn::Vec<hn::Full128<std::int16_t>> a,
                                                        hn::Vec<hn::Full128<std::int16_t>> b) {
  return hn::Vec<hn::Full128<std::uint8_t>>{_mm_packus_epi16(a.raw, b.raw)};
}
#if HWY_TARGET <= HWY_AVX2
HWY_INLINE hn::Vec<hn::Full256<std::uint8_t>> narrow_16(hn::Vec<hn::Full256<std::int16_t>> a,
                                                        hn::Vec<hn::Full256<std::int16_t>> b) {
  return hn::Vec<hn::Full256<std::uint8_t>>{_mm256_packus_epi16(a.raw, b.raw)};
}
#endif
#if HWY_TARGET <= HWY_AVX3
HWY_INLINE hn::Vec<hn::Full512<std::uint8_t>> narrow_16(hn::Vec<hn::Full512<std::int16_t>> a,
                                                        hn::Vec<hn::Full512<std::int16_t>> b) {
  return hn::Vec<hn::Full512<std::uint8_t>>{_mm512_packus_epi16(a.raw, b.raw)};
}
#endif
HWY_INLINE hn::Vec<Int16Tag> narrow_32(Ints a, Ints b) {
  return hn::ReorderDemote2To(Int16Tag(), a, b);
}
#else
HWY_INLINE Bytes narrow_16(hn::Vec<Int16Tag> a, hn::Vec<Int16Tag> b) {
  const hn::Half<ByteTag> half;
  return hn::Combine(ByteTag(), hn::DemoteTo(half, b), hn::DemoteTo(half, a));
}
HWY_INLINE hn::Vec<Int16Tag> narrow_32(Ints a, Ints b) {
  const hn::Half<Int16Tag> half;
  return hn::Combine(Int16Tag(), hn::DemoteTo(half, b), hn::DemoteTo(half, a));
}
#endif

// `stream`: past the caches; only where can_stream().
HWY_INLINE bool can_stream(const std::uint8_t* codes) {
  return reinterpret_cast<std::uintptr_t>(codes) % hn::MaxLanes(ByteTag()) == 0;
}

HWY_INLINE void store_codes(Bytes codes, std::uint8_t* output, bool stream) {
  if (stream) {
    hn::Stream(codes, ByteTag(), output);
  } else {
    hn::StoreU(codes, ByteTag(), output);
  }
}

// Block b of the input holds 4 codes of each of the vectors 0..3: 32-bit piece 4b+s belongs to
// piece b of vector s.
HWY_INLINE Bytes restore_order(Bytes codes) {
  if constexpr (kLanes == 4) {
    return codes;
  } else {
    const UintTag du;
    constexpr std::size_t kBlocks = kLanes / 4;
    alignas(64) std::int32_t order[kLanes];
    for (std::size_t s = 0; s < 4; ++s) {
      for (std::size_t b = 0; b < kBlocks; ++b) {
        order[s * kBlocks + b] = static_cast<std::int32_t>(4 * b + s);
      }
    }
    const auto indices = hn::SetTableIndices(du, order);
    return hn::BitCast(ByteTag(), hn::TableLookupLanes(hn::BitCast(du, codes), indices));
  }
}

// Block b of the input holds 8 bytes of each of the vectors 0 and 1.
HWY_INLINE Bytes restore_pair_order(Bytes codes) {
  if constexpr (kLanes == 4) {
    return codes;
  } else {
    const UintTag du;
    constexpr std::size_t kBlocks = kLanes / 4;
    alignas(64) std::int32_t order[kLanes];
    for (std::size_t s = 0; s < 2; ++s) {
      for (std::size_t b = 0; b < kBlocks; ++b) {
        order[2 * (s * kBlocks + b)] = static_cast<std::int32_t>(4 * b + 2 * s);
        order[2 * (s * kBlocks + b) + 1] = static_cast<std::int32_t>(4 * b + 2 * s + 1);
      }
    }
    const auto indices = hn::SetTableIndices(du, order);
    return hn::BitCast(ByteTag(), hn::TableLookupLanes(hn::BitCast(du, codes), indices));
  }
}

// The codes of four vectors, each a lane of 0 to 255, as bytes in their order.
HWY_INLINE Bytes join_codes(Ints c0, Ints c1, Ints c2, Ints c3) {
  return restore_order(narrow_16(narrow_32(c0, c1), narrow_32(c2, c3)));
}

// Joins neighbouring bytes that hold kBits bits each: one vector from two.
template <int kBits>
HWY_INLINE Bytes join_bytes(Bytes first, Bytes second) {
  const Uint16Tag du16;
  const Int16Tag di16;
  const auto join = [&](Bytes codes) HWY_ATTR {
    const auto pairs = hn::BitCast(du16, codes);
    const auto joined = hn::Or(pairs, hn::ShiftRight<8 - kBits>(pairs));
    return hn::BitCast(di16, hn::And(joined, hn::Set(du16, (1U << (2 * kBits)) - 1)));
  };
  return restore_pair_order(narrow_16(join(first), join(second)));
}

HWY_INLINE Bytes load_codes(const std::uint8_t* codes) { return hn::LoadU(ByteTag(), codes); }

// How many codes pack_step reads. It writes one vector of bytes.
template <int kBits>
inline constexpr std::size_t kPackStep = 8 / kBits * 4 * kLanes;

template <int kBits>
HWY_INLINE Bytes pack_step(const std::uint8_t* codes) {
  constexpr std::size_t kVector = 4 * kLanes;
  if constexpr (kBits == 4) {
    return join_bytes<4>(load_codes(codes), load_codes(codes + kVector));
  } else {
    return join_bytes<4>(
        join_bytes<2>(load_codes(codes), load_codes(codes + kVector)),
        join_bytes<2>(load_codes(codes + 2 * kVector), load_codes(codes + 3 * kVector)));
  }
}

// Packs `count` codes of kBits bits, one a byte, and flips the bits of `flip` in each byte of the
// result. Reads up to kPackStep codes more than `count`, writes ceil(count * kBits / 8) bytes.
template <int kBits>
HWY_INLINE void pack_codes(const std::uint8_t* codes, std::size_t count, std::uint8_t flip,
                           std::uint8_t* packed, bool stream) {
  constexpr std::size_t kPerByte = 8 / kBits;
  const auto flips = hn::Set(ByteTag(), flip);
  stream = stream && can_stream(packed);
  std::size_t i = 0;
  for (; i + kPackStep<kBits> <= count; i += kPackStep<kBits>) {
    store_codes(hn::Xor(pack_step<kBits>(codes + i), flips), packed + i / kPerByte, stream);
  }
  if (i == count) return;
  alignas(64) std::uint8_t last[4 * kLanes];
  hn::StoreU(hn::Xor(pack_step<kBits>(codes + i), flips), ByteTag(), last);
  std::memcpy(packed + i / kPerByte, last, (count - i + kPerByte - 1) / kPerByte);
}

// The reverse, for one vector of packed bytes: writes kPackStep codes.
template <int kBits>
HWY_INLINE void unpack_step(Bytes packed, std::uint8_t* codes) {
  const auto mask = hn::Set(ByteTag(), (1U << kBits) - 1);
  constexpr std::size_t kVector = 4 * kLanes;
  const auto shifted = [&](auto amount) HWY_ATTR {
    const auto moved = hn::ShiftRight<decltype(amount)::value>(hn::BitCast(Uint16Tag(), packed));
    return hn::And(hn::BitCast(ByteTag(), moved), mask);
  };
  const ByteTag d8;
  if constexpr (kBits == 4) {
    hn::StoreInterleaved2(hn::And(packed, mask), shifted(std::integral_constant<int, 4>()), d8,
                          codes);
  } else {
    hn::StoreInterleaved4(hn::And(packed, mask), shifted(std::integral_constant<int, 2>()),
                          shifted(std::integral_constant<int, 4>()),
                          shifted(std::integral_constant<int, 6>()), d8, codes);
  }
  static_assert(kPackStep<kBits> == 8 / kBits * kVector);
}

// Unpacks `count` codes after flipping the bits of `flip` in each byte. Reads ceil(count * kBits /
// 8) bytes; writes up to kPackStep codes more than `count`.
template <int kBits>
HWY_INLINE void unpack_codes(const std::uint8_t* packed, std::size_t count, std::uint8_t flip,
                             std::uint8_t* codes) {
  constexpr std::size_t kPerByte = 8 / kBits;
  const auto flips = hn::Set(ByteTag(), flip);
  std::size_t i = 0;
  for (; i + kPackStep<kBits> <= count; i += kPackStep<kBits>) {
    unpack_step<kBits>(hn::Xor(load_codes(packed + i / kPerByte), flips), codes + i);
  }
  if (i == count) return;
  alignas(64) std::uint8_t last[4 * kLanes] = {};
  std::memcpy(last, packed + i / kPerByte, (count - i + kPerByte - 1) / kPerByte);
  unpack_step<kBits>(hn::Xor(load_codes(last), flips), codes + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_NARROW_INL_H_
