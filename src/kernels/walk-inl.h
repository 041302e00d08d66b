// SPDX-License-Identifier: Apache-2.0
//
// A tile from values to parameters and codes, for formats of a byte or less an element and one
// scale a group: the walk over its groups, their tails, packing, prefetch and dtypes. The format
// brings the arithmetic:
//
//   struct Rule {
//     static constexpr Role kScales;        // the part that block.scale goes to
//     static constexpr bool kNarrowRows;    // integer codes: see narrow_rows-inl.h
//     static constexpr bool kDivides;       // the same: x / scale instead of x * inverse
//     static void parameters(const CodeRule&, GroupBlock&);  // lo, hi -> scale, inverse, ...
//     // Calls with(Step()), the step for a block. `careful`: NaN, Inf or too large quotients.
//     static void with_step(const CodeRule&, bool careful, With with);
//   };
//   struct Step {
//     using Group = ...;  // what it needs of a group: an aggregate of vectors
//     static Group group(const TileCode&, const GroupBlock&, std::size_t g);
//     // kEncodeStep codes, a byte each, of four vectors: the first two of the group `low`, the
//     // others of `high`, which may be the same. `index`: the flat index of the first.
//     static Bytes encode(Floats, Floats, Floats, Floats, const Group& low, const Group& high,
//                         std::uint64_t index);
//   };

#if defined(QUARROW_KERNELS_WALK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_WALK_INL_H_
#undef QUARROW_KERNELS_WALK_INL_H_
#else
#define QUARROW_KERNELS_WALK_INL_H_
#endif

#include "kernels/narrow_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

// The packed codes of a row: gathered one a byte, written when enough are there, so that groups
// need not start on a byte.
class PackedRow {
 public:
  explicit PackedRow(const GroupedTile& tile)
      : bits_(tile.rule.bits), flip_(sign_flip(tile.rule)), stream_(tile.stream_codes) {}

  static constexpr std::size_t kChunk = 4096;
  static_assert(kChunk >= kBlockElements, "a block is added at once");

  void start(std::uint8_t* packed) { packed_ = packed; }

  // Where the next codes go: kChunk of them, and one step more.
  std::uint8_t* space() { return codes_ + count_; }

  void add(std::size_t count) {
    count_ += count;
    if (count_ < kChunk) return;
    const std::size_t step = bits_ == 4 ? kPackStep<4> : kPackStep<2>;
    const std::size_t whole = count_ / step * step;
    pack(whole);
    packed_ += whole * static_cast<std::size_t>(bits_) / 8;
    count_ -= whole;
    std::memmove(codes_, codes_ + whole, count_);
  }

  void finish() {
    std::memset(codes_ + count_, flip_ & ((1 << bits_) - 1), 3);  // unused bits become 0
    pack(count_);
    count_ = 0;
  }

 private:
  void pack(std::size_t count) {
    if (bits_ == 4) {
      pack_codes<4>(codes_, count, flip_, packed_, stream_);
    } else {
      pack_codes<2>(codes_, count, flip_, packed_, stream_);
    }
  }

  const int bits_;
  const std::uint8_t flip_;
  const bool stream_;
  std::uint8_t* packed_ = nullptr;
  std::size_t count_ = 0;
  alignas(64) std::uint8_t codes_[2 * kChunk + kPackStep<2>];
};

// A step's codes of kEncodeStep elements at `data`.
template <class Step, DType kDType>
HWY_INLINE Bytes encode_step(const std::byte* data, const typename Step::Group& low,
                             const typename Step::Group& high, std::uint64_t index) {
  using In = Source<kDType>;
  constexpr std::size_t kVectorBytes = kLanes * In::kBytes;
  return Step::encode(In::load(data), In::load(data + kVectorBytes),
                      In::load(data + 2 * kVectorBytes), In::load(data + 3 * kVectorBytes), low,
                      high, index);
}

// Elements of one group, whole or in part.
struct EncodeSpan {
  const std::byte* data;
  std::uintptr_t ahead;  // to fetch meanwhile, see fetch_for_step()
  std::size_t count;
  std::size_t readable;  // elements from `data` to the end of the row
  std::uint64_t index;   // the flat index of the first
  std::uint8_t* codes;   // one a byte
  bool stream;           // past the caches, see EncodeTile
  std::size_t writable;  // bytes from `codes` on; those beyond `count` are overwritten
};

template <class Step, DType kDType>
HWY_INLINE void encode_span(const EncodeSpan& span, const typename Step::Group& code) {
  constexpr std::size_t kBytes = Source<kDType>::kBytes;
  const ByteTag d8;
  const bool stream = span.stream && can_stream(span.codes);
  std::uintptr_t ahead = span.ahead;
  std::size_t i = 0;
  for (; i + kEncodeStep <= span.count; i += kEncodeStep) {
    ahead = fetch_for_step<kEncodeStep * kBytes>(ahead);
    store_codes(encode_step<Step, kDType>(span.data + i * kBytes, code, code, span.index + i),
                span.codes + i, stream);
  }
  if (i == span.count) return;
  alignas(64) std::byte padded[kEncodeStep * kBytes];
  const std::byte* data = span.data + i * kBytes;
  if (span.readable - i < kEncodeStep) {
    std::memset(padded, 0, sizeof padded);
    std::memcpy(padded, data, (span.count - i) * kBytes);
    data = padded;
  }
  const Bytes codes = encode_step<Step, kDType>(data, code, code, span.index + i);
  if (span.writable - i >= kEncodeStep) {
    hn::StoreU(codes, d8, span.codes + i);
    return;
  }
  alignas(64) std::uint8_t last[kEncodeStep];
  hn::Store(codes, d8, last);
  std::memcpy(span.codes + i, last, span.count - i);
}

// The groups of a dense block, one code a byte, to `codes`; `index` is that of the first element.
template <class Step, DType kDType>
HWY_INLINE void encode_dense(const GroupBlock& block, const TileCode& common, std::uint64_t index,
                             std::uint8_t* codes, bool stream) {
  constexpr std::size_t kStepBytes = kEncodeStep * Source<kDType>::kBytes;
  const std::byte* data = block.spans[0].data;
  std::uintptr_t ahead = fetched_by_encode(block, data);
  const auto step = [&](const typename Step::Group& low,
                        const typename Step::Group& high) HWY_ATTR {
    ahead = fetch_for_step<kStepBytes>(ahead);
    store_codes(encode_step<Step, kDType>(data, low, high, index), codes, stream);
    data += kStepBytes;
    codes += kEncodeStep;
    index += kEncodeStep;
  };
  const std::size_t group_size = block.spans[0].count;
  if (group_size < kEncodeStep) {
    for (std::size_t g = 0; g < block.count; g += 2) {
      step(Step::group(common, block, g), Step::group(common, block, g + 1));
    }
    return;
  }
  for (std::size_t g = 0; g < block.count; ++g) {
    const auto code = Step::group(common, block, g);
    for (std::size_t i = 0; i < group_size; i += kEncodeStep) step(code, code);
  }
}

template <class Step, DType kDType>
HWY_NOINLINE void encode_dense_block(const GroupedTile& tile, const GroupBlock& block,
                                     PackedRow& packed) {
  const TileCode common = tile_code(tile.rule);
  const GroupSpan& first = block.spans[0];
  const std::size_t count = first.count * block.count;
  const std::uint64_t index = flat_index(tile.input, first);
  std::uint8_t* const row = tile.codes + first.row * tile.codes_row_bytes;
  if (!is_packed(tile.rule)) {
    std::uint8_t* const codes = row + first.col;
    const bool stream = tile.stream_codes && can_stream(codes);
    encode_dense<Step, kDType>(block, common, index, codes, stream);
    return;
  }
  if (first.col == 0) packed.start(row);
  encode_dense<Step, kDType>(block, common, index, packed.space(), /*stream=*/false);
  packed.add(count);
  if (first.col + count == tile.input.cols) packed.finish();
}

template <class Step, DType kDType>
HWY_NOINLINE void encode_block(const GroupedTile& tile, const GroupBlock& block,
                               PackedRow& packed) {
  if (block.is_dense) return encode_dense_block<Step, kDType>(tile, block, packed);
  const TileCode common = tile_code(tile.rule);
  const bool is_tile_packed = is_packed(tile.rule);
  for (std::size_t g = 0; g < block.count; ++g) {
    const GroupSpan& span = block.spans[g];
    const auto code = Step::group(common, block, g);
    std::uint8_t* row = tile.codes + span.row * tile.codes_row_bytes;
    EncodeSpan part{.data = span.data,
                    .ahead = fetched_by_encode(block, span.data),
                    .count = span.count,
                    .readable = tile.input.cols - span.col,
                    .index = flat_index(tile.input, span),
                    .codes = row + span.col,
                    .stream = tile.stream_codes && !is_tile_packed,
                    .writable = tile.input.cols - span.col};
    if (!is_tile_packed) {
      encode_span<Step, kDType>(part, code);
      continue;
    }
    if (span.col == 0) packed.start(row);
    part.writable = PackedRow::kChunk + kEncodeStep;
    for (std::size_t done = 0; done < span.count; done += PackedRow::kChunk) {
      part.count = std::min(PackedRow::kChunk, span.count - done);
      part.codes = packed.space();
      encode_span<Step, kDType>(part, code);
      packed.add(part.count);
      part.data += part.count * Source<kDType>::kBytes;
      part.ahead = fetched_by_encode(block, part.data);
      part.readable -= part.count;
      part.index += part.count;
    }
    if (span.col + span.count == tile.input.cols) packed.finish();
  }
}

// Whether the values must be looked at one by one.
inline bool is_careful(const GroupedTile& tile, const GroupBlock& block) {
  return !block.bounded || (block.non_finite && tile.rule.saturate);
}

template <class Rule, DType kDType>
HWY_INLINE void encode(const GroupedTile& tile, const GroupBlock& block, PackedRow& packed) {
  Rule::with_step(tile.rule, is_careful(tile, block), [&](auto step) HWY_ATTR {
    encode_block<decltype(step), kDType>(tile, block, packed);
  });
}

// The blocks of a tile whose rows are a run: their packed codes are one row.
template <class Rule, DType kDType>
class NarrowRows {
 public:
  NarrowRows(const GroupedTile& tile, PackedRow& packed) : tile_(tile), packed_(packed) {}

  HWY_INLINE void encode_block(const GroupBlock& block) {
    if (tile_.rule.stochastic || is_careful(tile_, block)) {
      finish();
      encode<Rule, kDType>(tile_, block, packed_);
      return;
    }
    const bool is_tile_packed = is_packed(tile_.rule);
    const TileCode common = tile_code(tile_.rule);
    const std::size_t row = block.spans[0].row;
    const std::size_t left = (tile_.input.rows - row) * tile_.input.cols;
    std::uint8_t* const codes = tile_.codes + row * tile_.codes_row_bytes;
    if (!is_tile_packed) {
      encode_rows<Rule::kDivides, kDType>(block, left, common.levels, common.offset, codes, left);
      return;
    }
    if (!started_) packed_.start(codes);
    started_ = true;
    packed_.add(encode_rows<Rule::kDivides, kDType>(block, left, common.levels, common.offset,
                                                    packed_.space(),
                                                    PackedRow::kChunk + kEncodeStep));
  }

  // Before anything else is written, and at the end.
  HWY_INLINE void finish() {
    if (started_) packed_.finish();
    started_ = false;
  }

 private:
  const GroupedTile& tile_;
  PackedRow& packed_;
  bool started_ = false;
};

// The same tile as one row, where its rows are whole groups that follow each other, parameters too.
// A tile with a given range is a piece of one group, and one row already or of a scale that its
// rows share.
inline GroupedTile with_joined_rows(GroupedTile tile) {
  InputTile& input = tile.input;
  const std::size_t cols = input.cols;
  if (tile.range != nullptr || cols == 0 || tile.group_size == 0) return tile;
  const std::size_t group_size = std::min(tile.group_size, cols);
  const bool groups_are_whole = tile.scales_row_stride * group_size == cols;
  if (!groups_are_whole || input.layer_cols != cols || !rows_follow(tile)) return tile;
  tile.group_size = group_size;
  input.cols *= input.rows;
  input.rows = std::min<std::size_t>(input.rows, 1);
  return tile;
}

template <class Rule, DType kDType>
HWY_NOINLINE void encode_from(const GroupedTile& given, TileReport& report) {
  const GroupedTile joined = with_joined_rows(given);
  const bool is_dense = joined.input.rows == 1 && makes_steps(joined.group_size);
  const bool is_narrow = Rule::kNarrowRows && rows_are_a_run(given) && !is_dense;
  const GroupedTile& tile = is_narrow ? given : joined;
  GroupWalk walk(tile);
  GroupBlock block;
  block.fetch_ahead = tile.fetch_ahead;
  PackedRow packed(tile);
  NarrowRows<Rule, kDType> narrow_rows(tile, packed);
  while (walk.next(block)) {
    if (tile.range != nullptr) {
      use_range(*tile.range, block);
    } else {
      find_ranges<kDType>(tile.input, block, report);
    }
    Rule::parameters(tile.rule, block);
    if (block.overflow && tile.range == nullptr) {
      report_overflow(tile.input, block, report,
                      [&block](std::size_t g) { return !is_finite(block.hi[g] - block.lo[g]); });
    }
    write_parameters(tile, block);
    if constexpr (Rule::kNarrowRows) {
      if (is_narrow) {
        narrow_rows.encode_block(block);
        continue;
      }
    }
    if (tile.input.cols != 0) encode<Rule, kDType>(tile, block, packed);
  }
  narrow_rows.finish();
  if (tile.stream_codes) hwy::FlushStream();
}

template <class Rule>
HWY_INLINE void encode_tile(const EncodeTile& job, const CodeRule& rule, TileReport& report) {
  const GroupedTile tile(job, rule, Rule::kScales);
  with_source(tile.input.dtype, [&](auto source) HWY_ATTR {
    encode_from<Rule, decltype(source)::kDType>(tile, report);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_WALK_INL_H_
