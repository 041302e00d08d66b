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
  explicit PackedRow(const QuantizeTile& tile)
      : bits_(tile.rule.bits), flip_(sign_flip(tile.rule)), stream_(tile.stream_codes) {}

  static constexpr std::size_t kChunk = 4096;

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

template <Encode kEncode, DType kDType>
HWY_NOINLINE void encode_block(const QuantizeTile& tile, const GroupBlock& block,
                               PackedRow& packed) {
  const ByteTag d8;
  const FloatTag df;
  const bool is_tile_packed = is_packed(tile.rule);
  const auto levels = hn::Set(d8, static_cast<std::uint8_t>((1U << tile.rule.bits) - 1));
  const auto offset = hn::Set(d8, is_tile_packed ? std::uint8_t{0} : sign_offset(tile.rule));
  for (std::size_t g = 0; g < block.count; ++g) {
    const GroupSpan& span = block.spans[g];
    const GroupCode code{.scale = hn::Set(df, block.scale[g]),
                         .inverse = hn::Set(df, block.inverse[g]),
                         .bias = hn::Set(IntTag(), kMagicBits - block.zero_point[g]),
                         .levels = levels,
                         .offset = offset,
                         .key = tile.rule.random_key};
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
inline bool is_careful(const QuantizeTile& tile, const GroupBlock& block) {
  return !block.bounded || (block.non_finite && tile.rule.saturate);
}

template <class Rule, DType kDType>
HWY_INLINE void encode(const QuantizeTile& tile, const GroupBlock& block, PackedRow& packed) {
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
  NarrowRows(const QuantizeTile& tile, PackedRow& packed) : tile_(tile), packed_(packed) {}

  HWY_INLINE void encode_block(const GroupBlock& block) {
    if (tile_.rule.stochastic || is_careful(tile_, block)) {
      finish();
      encode<Rule, kDType>(tile_, block, packed_);
      return;
    }
    const ByteTag d8;
    const bool is_tile_packed = is_packed(tile_.rule);
    const auto levels = hn::Set(d8, static_cast<std::uint8_t>((1U << tile_.rule.bits) - 1));
    const auto offset = hn::Set(d8, is_tile_packed ? std::uint8_t{0} : sign_offset(tile_.rule));
    const std::size_t row = block.spans[0].row;
    const std::size_t left = (tile_.input.rows - row) * tile_.input.cols;
    std::uint8_t* const codes = tile_.codes + row * tile_.codes_row_bytes;
    if (!is_tile_packed) {
      encode_rows<Rule::kDivides, kDType>(block, left, levels, offset, codes, left);
      return;
    }
    if (!started_) packed_.start(codes);
    started_ = true;
    packed_.add(encode_rows<Rule::kDivides, kDType>(block, left, levels, offset, packed_.space(),
                                                    PackedRow::kChunk + kEncodeStep));
  }

  // Before anything else is written, and at the end.
  HWY_INLINE void finish() {
    if (started_) packed_.finish();
    started_ = false;
  }

 private:
  const QuantizeTile& tile_;
  PackedRow& packed_;
  bool started_ = false;
};

template <class Rule, DType kDType>
HWY_NOINLINE void quantize_from(const QuantizeTile& tile, TileReport& report) {
  GroupWalk walk(tile);
  GroupBlock block;
  block.fetch_ahead = tile.fetch_ahead;
  PackedRow packed(tile);
  NarrowRows<Rule, kDType> narrow_rows(tile, packed);
  const bool is_narrow = rows_are_a_run(tile);
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
HWY_INLINE void quantize_tile(const QuantizeTile& tile, TileReport& report) {
  with_source(tile.input.dtype, [&](auto source) HWY_ATTR {
    quantize_from<Rule, decltype(source)::kDType>(tile, report);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_QUANTIZE_INL_H_
