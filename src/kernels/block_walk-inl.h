// SPDX-License-Identifier: Apache-2.0
//
// A tile of whole blocks, each of which holds its scales and its codes one behind the other: the
// walk over them, their dtypes and prefetch. The format brings the arithmetic:
//
//   struct Rule {
//     static constexpr std::size_t kElements;  // of a block
//     static constexpr std::size_t kBytes;
//     struct Scales;                           // of the blocks of a GroupBlock, as they are stored
//     // lo and hi of each block, as parameters() needs them; what is not finite is reported.
//     template <DType> static void find(const InputTile&, GroupBlock&, TileReport&);
//     // lo, hi -> scale, inverse..., and block.overflow where some Scales are Inf.
//     template <DType> static void parameters(GroupBlock&, Scales&);
//     static bool overflows(const Scales&, std::size_t g);
//     static void with_step(bool careful, With with);  // see walk-inl.h
//     // Block g from its codes, a byte each; and the values of a block.
//     static void join(const Scales&, std::size_t g, const std::uint8_t* codes, std::uint8_t* out);
//     template <DType> static void decode(const std::uint8_t* stored, std::byte* output);
//   };

#if defined(QUARROW_KERNELS_BLOCK_WALK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUARROW_KERNELS_BLOCK_WALK_INL_H_
#undef QUARROW_KERNELS_BLOCK_WALK_INL_H_
#else
#define QUARROW_KERNELS_BLOCK_WALK_INL_H_
#endif

#include "kernels/decode-inl.h"
#include "kernels/walk-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quarrow {
namespace HWY_NAMESPACE {

// The same tile as one row, where its rows follow each other, values and blocks alike.
template <class Rule>
EncodeTile with_joined_blocks(EncodeTile tile) {
  InputTile& input = tile.input;
  const auto row_bytes = static_cast<std::ptrdiff_t>(input.cols * size_of(input.dtype));
  const std::size_t stored_bytes = input.cols / Rule::kElements * Rule::kBytes;
  const bool follow = input.row_stride_bytes == row_bytes && input.layer_cols == input.cols &&
                      tile.parts[Role::kCodes].row_stride == stored_bytes;
  if (!follow || input.rows == 0) return tile;
  input.cols *= input.rows;
  input.rows = 1;
  return tile;
}

// The codes of all blocks, a byte each, to `codes`, which has room for one step more.
template <class Step, DType kDType>
HWY_NOINLINE void encode_codes(const GroupedTile& tile, const GroupBlock& block,
                               std::uint8_t* codes) {
  const TileCode common = tile_code(tile.rule);
  if (block.is_dense) {
    const std::uint64_t index = flat_index(tile.input, block.spans[0]);
    return encode_dense<Step, kDType>(block, common, index, codes, /*stream=*/false);
  }
  for (std::size_t g = 0; g < block.count; ++g) {
    const GroupSpan& span = block.spans[g];
    encode_span<Step, kDType>({.data = span.data,
                               .ahead = fetched_by_encode(block, span.data),
                               .count = span.count,
                               .readable = tile.input.cols - span.col,
                               .index = flat_index(tile.input, span),
                               .codes = codes,
                               .stream = false,
                               .writable = span.count + kEncodeStep},
                              Step::group(common, block, g));
    codes += span.count;
  }
}

template <class Rule, DType kDType>
HWY_NOINLINE void encode_blocks_from(const EncodeTile& job, TileReport& report) {
  const EncodeTile joined = with_joined_blocks<Rule>(job);
  const GroupedTile tile(joined, joined.rule, Role::kScales);
  alignas(64) std::uint8_t codes[kBlockElements + kEncodeStep];
  GroupWalk walk(tile);
  GroupBlock block;
  block.fetch_ahead = tile.fetch_ahead;
  typename Rule::Scales scales;
  while (walk.next(block)) {
    Rule::template find<kDType>(tile.input, block, report);
    Rule::template parameters<kDType>(block, scales);
    if (block.overflow) {
      report_overflow(tile.input, block, report,
                      [&scales](std::size_t g) { return Rule::overflows(scales, g); });
    }
    Rule::with_step(block.non_finite && tile.rule.saturate, [&](auto step) HWY_ATTR {
      encode_codes<decltype(step), kDType>(tile, block, codes);
    });
    const GroupSpan first = block.span(0);
    std::uint8_t* out = tile.codes + first.row * tile.codes_row_bytes + first.group * Rule::kBytes;
    for (std::size_t g = 0; g < block.count; ++g) {
      if (!block.is_dense) {
        const GroupSpan& span = block.spans[g];
        out = tile.codes + span.row * tile.codes_row_bytes + span.group * Rule::kBytes;
      }
      Rule::join(scales, g, codes + g * Rule::kElements, out);
      out += Rule::kBytes;
    }
  }
}

template <class Rule>
HWY_INLINE void encode_blocks(const EncodeTile& tile, TileReport& report) {
  with_source(tile.input.dtype, [&](auto source) HWY_ATTR {
    encode_blocks_from<Rule, decltype(source)::kDType>(tile, report);
  });
}

template <class Rule>
HWY_INLINE void decode_blocks(const DecodeTile& tile) {
  const PartInput& stored = tile.parts[Role::kCodes];
  with_sink(tile.dtype, [&](auto sink) HWY_ATTR {
    constexpr DType kDType = decltype(sink)::kDType;
    for (std::size_t row = 0; row < tile.rows; ++row) {
      const auto* block =
          reinterpret_cast<const std::uint8_t*>(stored.data) + row * stored.row_stride;
      std::byte* output = static_cast<std::byte*>(tile.output) + row * tile.output_row_bytes;
      for (std::size_t col = 0; col < tile.cols; col += Rule::kElements) {
        Rule::template decode<kDType>(block, output);
        block += Rule::kBytes;
        output += Rule::kElements * size_of(kDType);
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace quarrow
HWY_AFTER_NAMESPACE();

#endif  // QUARROW_KERNELS_BLOCK_WALK_INL_H_
