// SPDX-License-Identifier: Apache-2.0
//
// Rows of a few columns, such as the 16 of a LoRA's up matrix: encoded as one run of elements, each
// with the parameters of its own row. A row by itself would fill a quarter of each step, and be
// copied into memory that may be read beyond its end.

#if defined(QUARROW_KERNELS_NARROW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_NARROW_ROWS_INL_H_
#undef QUARROW_KERNELS_NARROW_ROWS_INL_H_
#else
#define QUARROW_KERNELS_NARROW_ROWS_INL_H_
#endif

#include "kernels/integer_step-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

// From here on a row is worth steps of its own.
inline constexpr std::size_t kNarrowColumns = 64;
static_assert(kLeastDense >= kNarrowColumns, "no block of narrow rows is dense");

// Whether the rows of a tile lie one behind the other, values and codes alike.
inline bool rows_follow(const GroupedTile& tile) {
  const std::size_t cols = tile.input.cols;
  const auto row_bytes = static_cast<std::ptrdiff_t>(cols * size_of(tile.input.dtype));
  const std::size_t bits = tile.rule.packed ? static_cast<std::size_t>(tile.rule.bits) : 8;
  return tile.input.row_stride_bytes == row_bytes && tile.codes_row_bytes * 8 == cols * bits;
}

// Whether the tile's rows are narrow, of one group each, and follow each other.
inline bool rows_are_a_run(const GroupedTile& tile) {
  const std::size_t cols = tile.input.cols;
  return cols != 0 && cols < kNarrowColumns && tile.group_size >= cols && rows_follow(tile);
}

// The parameters of a block, repeated for each element, and for one step beyond them.
struct ElementParameters {
  static constexpr std::size_t kMost = kBlockGroups * (kNarrowColumns - 1) + kEncodeStep;
  alignas(64) float scale[kMost];
  alignas(64) float inverse[kMost];
  alignas(64) std::int32_t bias[kMost];

  // Returns the number of elements.
  HWY_INLINE std::size_t fill(const GroupBlock& block) {
    std::size_t end = 0;
    for (std::size_t g = 0; g < block.count; ++g) {
      const std::size_t count = block.spans[g].count;
      set(block, g, end, count);
      end += count;
    }
    set(block, block.count - 1, end, kEncodeStep);
    return end;
  }

 private:
  // Whole vectors: what is too much belongs to the next group, which comes after.
  HWY_INLINE void set(const GroupBlock& block, std::size_t g, std::size_t first,
                      std::size_t count) {
    const FloatTag df;
    const IntTag di;
    const auto group_scale = hn::Set(df, block.scale[g]);
    const auto group_inverse = hn::Set(df, block.inverse[g]);
    const auto group_bias = hn::Set(di, kMagicBits - block.zero_point[g]);
    for (std::size_t i = first; i < first + count; i += kLanes) {
      hn::StoreU(group_scale, df, scale + i);
      hn::StoreU(group_inverse, df, inverse + i);
      hn::StoreU(group_bias, di, bias + i);
    }
  }
};

// kEncodeStep elements, as encode_step does it; `first` counts in the parameters.
template <bool kDivides, DType kDType>
HWY_INLINE Bytes encode_elements(const std::byte* data, const ElementParameters& each,
                                 std::size_t first, Bytes levels, Bytes offset) {
  using In = Source<kDType>;
  const FloatTag df;
  const IntTag di;
  const auto x = [&](std::size_t vector)
                     HWY_ATTR { return In::load(data + vector * kLanes * In::kBytes); };
  const auto times = [&](std::size_t vector) HWY_ATTR {
    return hn::Mul(x(vector), hn::LoadU(df, each.inverse + first + vector * kLanes));
  };
  auto q0 = times(0);
  auto q1 = times(1);
  auto q2 = times(2);
  auto q3 = times(3);
  if constexpr (kDivides) {
    if (HWY_UNLIKELY(near_a_tie(q0, q1, q2, q3))) {
      const auto divided = [&](std::size_t vector) HWY_ATTR {
        return hn::Div(x(vector), hn::LoadU(df, each.scale + first + vector * kLanes));
      };
      q0 = divided(0);
      q1 = divided(1);
      q2 = divided(2);
      q3 = divided(3);
    }
  }
  const auto code = [&](Floats quotient, std::size_t vector) HWY_ATTR {
    const auto rounded = hn::Add(quotient, hn::Set(df, kMagic));
    return hn::Sub(hn::BitCast(di, rounded), hn::LoadU(di, each.bias + first + vector * kLanes));
  };
  const auto codes = join_codes(code(q0, 0), code(q1, 1), code(q2, 2), code(q3, 3));
  return hn::Sub(hn::Min(codes, levels), offset);
}

// All rows of the block, one code a byte, to `codes`: `readable` elements lie from the first on,
// `writable` bytes from `codes` on, of which those beyond the rows may be overwritten. Returns the
// number of codes.
template <bool kDivides, DType kDType>
HWY_NOINLINE std::size_t encode_rows(const GroupBlock& block, std::size_t readable, Bytes levels,
                                     Bytes offset, std::uint8_t* codes, std::size_t writable) {
  constexpr std::size_t kBytes = Source<kDType>::kBytes;
  const ByteTag d8;
  ElementParameters each;
  const std::size_t count = each.fill(block);
  const std::byte* const data = block.spans[0].data;
  std::uintptr_t ahead = fetched_by_encode(block, data);
  for (std::size_t i = 0; i < count; i += kEncodeStep) {
    ahead = fetch_for_step<kEncodeStep * kBytes>(ahead);
    alignas(64) std::byte padded[kEncodeStep * kBytes];
    const std::byte* at = data + i * kBytes;
    if (readable - i < kEncodeStep) {
      std::memset(padded, 0, sizeof padded);
      std::memcpy(padded, at, (count - i) * kBytes);
      at = padded;
    }
    const Bytes made = encode_elements<kDivides, kDType>(at, each, i, levels, offset);
    if (writable - i >= kEncodeStep) {
      hn::StoreU(made, d8, codes + i);
    } else {
      alignas(64) std::uint8_t last[kEncodeStep];
      hn::Store(made, d8, last);
      std::memcpy(codes + i, last, std::min(kEncodeStep, count - i));
    }
  }
  return count;
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_NARROW_ROWS_INL_H_
