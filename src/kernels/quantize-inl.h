// SPDX-License-Identifier: Apache-2.0
//
// A tile from values to scales, zero points and codes, for formats of one scale a group. The format
// brings the arithmetic of its parameters:
//
//   struct Rule {
//     static constexpr bool kDivides;                        // x / scale instead of x * inverse
//     static void parameters(const CodeRule&, GroupBlock&);  // lo, hi -> scale, inverse, ...
//   };

#if defined(QUARROW_KERNELS_QUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_QUANTIZE_INL_H_
#undef QUARROW_KERNELS_QUANTIZE_INL_H_
#else
#define QUARROW_KERNELS_QUANTIZE_INL_H_
#endif

#include "kernels/encode-inl.h"
#include "kernels/narrow_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

constexpr bool is_packed(const CodeRule& rule) { return rule.packed && rule.bits < 8; }

// Half of the codes: what separates signed from unsigned ones.
constexpr std::uint8_t sign_offset(const CodeRule& rule) {
  const bool is_signed = rule.symmetric && !rule.unsigned_codes;
  return static_cast<std::uint8_t>(is_signed ? 1U << (rule.bits - 1) : 0U);
}

// The sign bits of all codes in a packed byte: flipping them turns unsigned codes into two's
// complement, and back.
constexpr std::uint8_t sign_flip(const CodeRule& rule) {
  return static_cast<std::uint8_t>(sign_offset(rule) * (rule.bits == 4 ? 0x11U : 0x55U));
}

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

// What the codes of a tile have in common.
struct TileCode {
  Bytes levels;
  Bytes offset;
  std::uint64_t key;
};

HWY_INLINE TileCode tile_code(const CodeRule& rule) {
  const ByteTag d8;
  return {.levels = hn::Set(d8, static_cast<std::uint8_t>((1U << rule.bits) - 1)),
          .offset = hn::Set(d8, is_packed(rule) ? std::uint8_t{0} : sign_offset(rule)),
          .key = rule.random_key};
}

HWY_INLINE GroupCode group_code(const TileCode& common, const GroupBlock& block, std::size_t g) {
  const FloatTag df;
  return {.scale = hn::Set(df, block.scale[g]),
          .inverse = hn::Set(df, block.inverse[g]),
          .bias = hn::Set(IntTag(), kMagicBits - block.zero_point[g]),
          .levels = common.levels,
          .offset = common.offset,
          .key = common.key};
}

// The groups of a dense block, one code a byte, to `codes`; `index` is that of the first element.
template <Encode kEncode, DType kDType>
HWY_INLINE void encode_dense(const GroupBlock& block, const TileCode& common, std::uint64_t index,
                             std::uint8_t* codes, bool stream) {
  constexpr std::size_t kStepBytes = kEncodeStep * Source<kDType>::kBytes;
  const std::byte* data = block.spans[0].data;
  std::uintptr_t ahead = fetched_by_encode(block, data);
  const auto step = [&](const GroupCode& low, const GroupCode& high) HWY_ATTR {
    ahead = fetch_for_step<kStepBytes>(ahead);
    store_codes(encode_step<kEncode, kDType>(data, low, high, index), codes, stream);
    data += kStepBytes;
    codes += kEncodeStep;
    index += kEncodeStep;
  };
  const std::size_t group_size = block.spans[0].count;
  if (group_size < kEncodeStep) {
    for (std::size_t g = 0; g < block.count; g += 2) {
      step(group_code(common, block, g), group_code(common, block, g + 1));
    }
    return;
  }
  for (std::size_t g = 0; g < block.count; ++g) {
    const GroupCode code = group_code(common, block, g);
    for (std::size_t i = 0; i < group_size; i += kEncodeStep) step(code, code);
  }
}

template <Encode kEncode, DType kDType>
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
    encode_dense<kEncode, kDType>(block, common, index, codes, stream);
    return;
  }
  if (first.col == 0) packed.start(row);
  encode_dense<kEncode, kDType>(block, common, index, packed.space(), /*stream=*/false);
  packed.add(count);
  if (first.col + count == tile.input.cols) packed.finish();
}

template <Encode kEncode, DType kDType>
HWY_NOINLINE void encode_block(const GroupedTile& tile, const GroupBlock& block,
                               PackedRow& packed) {
  if (block.is_dense) return encode_dense_block<kEncode, kDType>(tile, block, packed);
  const TileCode common = tile_code(tile.rule);
  const bool is_tile_packed = is_packed(tile.rule);
  for (std::size_t g = 0; g < block.count; ++g) {
    const GroupSpan& span = block.spans[g];
    const GroupCode code = group_code(common, block, g);
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
      encode_span<kEncode, kDType>(part, code);
      continue;
    }
    if (span.col == 0) packed.start(row);
    part.writable = PackedRow::kChunk + kEncodeStep;
    for (std::size_t done = 0; done < span.count; done += PackedRow::kChunk) {
      part.count = std::min(PackedRow::kChunk, span.count - done);
      part.codes = packed.space();
      encode_span<kEncode, kDType>(part, code);
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
  const bool careful = is_careful(tile, block);
  if constexpr (Rule::kDivides) {
    if (careful) return encode_block<Encode::kCarefulDivide, kDType>(tile, block, packed);
    encode_block<Encode::kDivide, kDType>(tile, block, packed);
  } else {
    if (tile.rule.stochastic) return encode_block<Encode::kStochastic, kDType>(tile, block, packed);
    if (careful) return encode_block<Encode::kCareful, kDType>(tile, block, packed);
    encode_block<Encode::kMultiply, kDType>(tile, block, packed);
  }
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
HWY_NOINLINE void quantize_from(const GroupedTile& given, TileReport& report) {
  const GroupedTile joined = with_joined_rows(given);
  const bool is_dense = joined.input.rows == 1 && makes_steps(joined.group_size);
  const bool is_narrow = rows_are_a_run(given) && !is_dense;
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
    if (block.overflow && tile.range == nullptr) report_overflow(tile.input, block, report);
    write_parameters(tile, block);
    if (is_narrow) {
      narrow_rows.encode_block(block);
    } else if (tile.input.cols != 0) {
      encode<Rule, kDType>(tile, block, packed);
    }
  }
  narrow_rows.finish();
  if (tile.stream_codes) hwy::FlushStream();
}

template <class Rule>
HWY_INLINE void quantize_tile(const QuantizeTile& job, const CodeRule& rule, TileReport& report) {
  const GroupedTile tile(job, rule);
  with_source(tile.input.dtype, [&](auto source) HWY_ATTR {
    quantize_from<Rule, decltype(source)::kDType>(tile, report);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_QUANTIZE_INL_H_
