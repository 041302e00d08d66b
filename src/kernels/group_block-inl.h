// SPDX-License-Identifier: Apache-2.0
//
// The groups of a tile, some at a time: enough for whole vectors of parameters, few enough that
// their input is still in the first-level cache when it is read again to be encoded.

#if defined(QUARROW_KERNELS_GROUP_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_GROUP_BLOCK_INL_H_
#undef QUARROW_KERNELS_GROUP_BLOCK_INL_H_
#else
#define QUARROW_KERNELS_GROUP_BLOCK_INL_H_
#endif

#include "kernels/range-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

inline constexpr std::size_t kBlockGroups = 64;  // a multiple of every vector's lanes
inline constexpr std::size_t kBlockElements = 4096;
inline constexpr std::size_t kBlockBytes = 16 * 1024;
// Fewer are not worth a block of their own: see GroupBlock::is_dense.
inline constexpr std::size_t kLeastDense = 512;

// Elements that are encoded at once.
inline constexpr std::size_t kEncodeStep = 4 * kLanes;

// Whether groups of this size can be dense: see GroupBlock.
constexpr bool makes_steps(std::size_t group_size) {
  return group_size % kEncodeStep == 0 || group_size == kEncodeStep / 2;
}

// x + kMagic has the integer nearest to x (ties to even) in its low bits, for |x| < 2^22.
inline constexpr float kMagic = 0x1.8p23F;
inline constexpr std::int32_t kMagicBits = std::bit_cast<std::int32_t>(kMagic);

// A tile of codes with a scale, and perhaps a zero point, for each group: its parts by name, rows
// of scales counted in elements. The scales are the part `role`.
struct GroupedTile {
  GroupedTile(const EncodeTile& tile, const CodeRule& rule_of_codes, Role role)
      : input(tile.input),
        group_size(tile.group_size),
        rule(rule_of_codes),
        range(tile.range),
        codes(reinterpret_cast<std::uint8_t*>(tile.parts[Role::kCodes].data)),
        codes_row_bytes(tile.parts[Role::kCodes].row_stride),
        stream_codes(tile.stream_codes),
        fetch_ahead(tile.fetch_ahead),
        scales(reinterpret_cast<float*>(tile.parts[role].data)),
        zero_points(reinterpret_cast<std::uint8_t*>(tile.parts[Role::kZeroPoints].data)),
        scales_row_stride(tile.parts[role].row_stride / sizeof(float)) {}

  InputTile input;
  std::size_t group_size;
  CodeRule rule;
  const Range* range;
  std::uint8_t* codes;
  std::size_t codes_row_bytes;
  bool stream_codes;
  bool fetch_ahead;
  float* scales;
  std::uint8_t* zero_points;
  std::size_t scales_row_stride;  // of the zero points too
};

struct GroupSpan {
  const std::byte* data;
  std::size_t count;
  std::size_t row;
  std::size_t col;
  std::size_t group;  // of its row
};

struct GroupBlock {
  bool fetch_ahead = true;  // see EncodeTile
  std::size_t count = 0;
  std::size_t bytes = 0;  // of input
  // Whole encoding steps, one behind the other in one row, each of one group or of two. Then only
  // the first of `spans` is there: ask span().
  bool is_dense = false;
  std::size_t dense_group_bytes = 0;
  GroupSpan spans[kBlockGroups];
  // Lanes beyond `count` are computed like the others, and ignored.
  alignas(64) float lo[kBlockGroups] = {};
  alignas(64) float hi[kBlockGroups] = {};
  alignas(64) float scale[kBlockGroups];
  alignas(64) float inverse[kBlockGroups];
  alignas(64) std::int32_t zero_point[kBlockGroups];  // of unsigned codes
  bool bounded = true;                                // no |x / scale| beyond kMaxQuotient
  bool non_finite = false;                            // some group holds NaN or Inf
  bool overflow = false;                              // some group's hi - lo overflows

  HWY_INLINE GroupSpan span(std::size_t g) const {
    if (!is_dense) return spans[g];
    GroupSpan span = spans[0];
    span.data += g * dense_group_bytes;
    span.col += g * span.count;
    span.group += g;
    return span;
  }
};

// Quotients up to here survive the way through kMagic and 16-bit integers; real ones stay below
// 256.1, except where a 16-bit scale was clamped far from the group's own.
inline constexpr float kMaxQuotient = 512.0F;

inline std::uint64_t flat_index(const InputTile& input, const GroupSpan& span) {
  return input.first_index + span.row * input.layer_cols + span.col;
}

// What to fetch while `data`, in the block, is read for its range, or to be encoded; 0 for nothing.
// Each pass takes one half of the bytes that begin kFetchDistance behind its first: fetching in one
// pass alone would leave the memory idle during the other. It is the input to come where rows lie
// one behind the other; elsewhere, and beyond the input, it is harmless.
inline constexpr std::uintptr_t kFetchDistance = 12 * 1024;

HWY_INLINE std::uintptr_t fetched_by_range(const GroupBlock& block, const std::byte* data) {
  if (!block.fetch_ahead) return 0;
  const auto first = reinterpret_cast<std::uintptr_t>(block.spans[0].data);
  return first + kFetchDistance + (reinterpret_cast<std::uintptr_t>(data) - first) / 2;
}

HWY_INLINE std::uintptr_t fetched_by_encode(const GroupBlock& block, const std::byte* data) {
  return block.fetch_ahead ? fetched_by_range(block, data) + block.bytes / 2 : 0;
}

// Walks the groups of a tile in the order of its elements.
class GroupWalk {
 public:
  explicit GroupWalk(const GroupedTile& tile)
      : tile_(tile.input),
        group_size_(std::max<std::size_t>(1, std::min(tile.group_size, tile.input.cols))),
        group_bytes_(group_size_ * size_of(tile.input.dtype)),
        whole_groups_(tile.input.cols / group_size_),
        most_elements_(std::min(kBlockElements, kBlockBytes / size_of(tile.input.dtype))),
        most_dense_(makes_steps(group_size_) ? std::min(kBlockGroups, most_elements_ / group_size_)
                                             : 0),
        next_{.data = tile.input.data, .count = 0, .row = 0, .col = 0, .group = 0},
        rows_start_dense_(dense_groups() != 0) {}

  // Fills the spans of the block; false when no group is left.
  HWY_INLINE bool next(GroupBlock& block) {
    block.count = 0;
    if (next_.row == tile_.rows) return false;
    const std::size_t dense = dense_groups();
    block.is_dense = dense != 0;
    if (block.is_dense) {
      fill_dense(block, dense);
    } else {
      fill(block);
    }
    return true;
  }

 private:
  // Those of a dense block that begins here; 0 where they are too few.
  HWY_INLINE std::size_t dense_groups() const {
    std::size_t groups = std::min(most_dense_, whole_groups_ - next_.group);
    if (group_size_ < kEncodeStep) groups = groups / 2 * 2;
    return groups * group_size_ < kLeastDense ? 0 : groups;
  }

  HWY_INLINE void fill_dense(GroupBlock& block, std::size_t groups) {
    next_.count = group_size_;
    block.spans[0] = next_;
    block.count = groups;
    block.bytes = groups * group_bytes_;
    block.dense_group_bytes = group_bytes_;
    step(groups, groups * group_size_);
  }

  HWY_INLINE void fill(GroupBlock& block) {
    std::size_t elements = 0;
    while (next_.row < tile_.rows && block.count < kBlockGroups) {
      next_.count = std::min(group_size_, tile_.cols - next_.col);
      if (block.count != 0) {
        if (elements + next_.count > most_elements_) break;
        if (next_.col == 0 && rows_start_dense_) break;
      }
      block.spans[block.count++] = next_;
      elements += next_.count;
      step(1, next_.count);
    }
    block.bytes = elements * size_of(tile_.dtype);
  }

  HWY_INLINE void step(std::size_t groups, std::size_t elements) {
    next_.col += elements;
    if (next_.col != tile_.cols) {
      next_.data += groups * group_bytes_;
      next_.group += groups;
      return;
    }
    ++next_.row;
    next_.col = 0;
    next_.group = 0;
    if (next_.row == tile_.rows) return;
    next_.data = tile_.data + static_cast<std::ptrdiff_t>(next_.row) * tile_.row_stride_bytes;
  }

  const InputTile tile_;
  const std::size_t group_size_;
  const std::size_t group_bytes_;
  const std::size_t whole_groups_;  // of a row
  const std::size_t most_elements_;
  const std::size_t most_dense_;  // groups
  GroupSpan next_;
  const bool rows_start_dense_;
};

// Writes the extremes of the groups of a dense block, hi and lo of each. kStep elements at once.
template <DType kDType, std::size_t kStep>
HWY_INLINE void store_dense_extremes(const GroupBlock& block, std::int32_t* out) {
  using Group = Patterns<kDType>;
  constexpr std::size_t kVectorBytes = Group::kCount * Source<kDType>::kBytes;
  constexpr std::size_t kStepBytes = kStep * Source<kDType>::kBytes;
  const std::byte* data = block.spans[0].data;
  std::uintptr_t ahead = fetched_by_range(block, data);
  for (std::size_t g = 0; g < block.count; ++g) {
    auto even = Largest<kDType>::nothing();
    auto odd = Largest<kDType>::nothing();
    for (const std::byte* const end = data + block.dense_group_bytes; data != end;
         data += kStepBytes) {
      ahead = fetch_for_step<kStepBytes>(ahead);
      for (std::size_t at = 0; at < kStepBytes; at += 2 * kVectorBytes) {
        even.include(Group::load(data + at));
        if (at + kVectorBytes < kStepBytes) odd.include(Group::load(data + at + kVectorBytes));
      }
    }
    even.include(odd);
    store_extremes(even.extremes(), out + 2 * g);
  }
}

// Finds lo and hi of every group of the block; groups with non-finite values are reported, and have
// the range of their finite ones.
template <DType kDType>
HWY_INLINE void find_ranges(const InputTile& input, GroupBlock& block, TileReport& report) {
  const IntTag di;
  const FloatTag df;
  // Those beyond `count` only ever fill up a vector: what they hold does not matter, but is not
  // taken for a non-finite value.
  alignas(64) std::int32_t magnitudes[2 * kBlockGroups];
  std::fill_n(magnitudes + 2 * block.count, 2 * (kLanes - 1 - (block.count - 1) % kLanes), 0);
  if (block.is_dense && block.spans[0].count < kEncodeStep) {
    store_dense_extremes<kDType, kEncodeStep / 2>(block, magnitudes);
  } else if (block.is_dense) {
    store_dense_extremes<kDType, kEncodeStep>(block, magnitudes);
  } else {
    for (std::size_t g = 0; g < block.count; ++g) {
      const GroupSpan& span = block.spans[g];
      store_extremes(
          find_extremes<kDType>(span.data, span.count, fetched_by_range(block, span.data)),
          magnitudes + 2 * g);
    }
  }
  auto largest = hn::Zero(di);
  for (std::size_t g = 0; g < block.count; g += kLanes) {
    Ints hi;
    Ints lo;
    hn::LoadInterleaved2(di, magnitudes + 2 * g, hi, lo);
    const auto hi_value = magnitude_values<kDType>(hi);
    const auto lo_value = magnitude_values<kDType>(lo);
    largest = hn::Max(largest, hn::Max(hn::BitCast(di, hi_value), hn::BitCast(di, lo_value)));
    hn::Store(hi_value, df, block.hi + g);
    hn::Store(hn::Or(lo_value, hn::SignBit(df)), df, block.lo + g);
  }
  block.non_finite = !hn::AllFalse(di, hn::Gt(largest, hn::Set(di, 0x7F7FFFFF)));
  if (!block.non_finite) return;
  for (std::size_t g = 0; g < block.count; ++g) {
    if (is_finite(block.lo[g]) && is_finite(block.hi[g])) continue;
    const GroupSpan span = block.span(g);
    const Range range =
        finite_range<kDType>(span.data, span.count, flat_index(input, span), report);
    block.lo[g] = range.lo;
    block.hi[g] = range.hi;
  }
}

// Every group of the block is a piece of a span whose range is known. Whether it holds non-finite
// values is not.
inline void use_range(const Range& range, GroupBlock& block) {
  for (std::size_t g = 0; g < block.count; ++g) {
    block.lo[g] = range.lo;
    block.hi[g] = range.hi;
  }
  block.non_finite = true;
}

// Reports the first group of the block that overflows.
template <class Overflows>
void report_overflow(const InputTile& input, const GroupBlock& block, TileReport& report,
                     Overflows overflows) {
  if (report.range_overflow) return;
  for (std::size_t g = 0; g < block.count; ++g) {
    if (!overflows(g)) continue;
    report.range_overflow = true;
    report.first_overflow = flat_index(input, block.span(g));
    return;
  }
}

HWY_INLINE void write_parameters(const GroupedTile& tile, const GroupBlock& block) {
  float* const scales = tile.scales;
  std::uint8_t* const zero_points = tile.zero_points;
  const std::size_t row_stride = tile.scales_row_stride;
  if (!block.is_dense) {
    for (std::size_t g = 0; g < block.count; ++g) {
      const std::size_t at = block.spans[g].row * row_stride + block.spans[g].group;
      if (scales != nullptr) scales[at] = block.scale[g];
      if (zero_points != nullptr) zero_points[at] = static_cast<std::uint8_t>(block.zero_point[g]);
    }
    return;
  }
  const std::size_t first = block.spans[0].row * row_stride + block.spans[0].group;
  if (scales != nullptr) std::copy_n(block.scale, block.count, scales + first);
  if (zero_points == nullptr) return;
  const IntTag di;
  const hn::Rebind<std::uint8_t, IntTag> d8;
  alignas(64) std::uint8_t narrow[kBlockGroups];
  for (std::size_t g = 0; g < block.count; g += kLanes) {
    hn::Store(hn::DemoteTo(d8, hn::Load(di, block.zero_point + g)), d8, narrow + g);
  }
  std::copy_n(narrow, block.count, zero_points + first);
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_GROUP_BLOCK_INL_H_
