// SPDX-License-Identifier: Apache-2.0
#include "quantize/run_tile.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/checked_math.h"

namespace quarrow {
namespace {

CodeRule code_rule(const LayerPlan& layer, NonFinitePolicy policy) noexcept {
  const Format& format = layer.format;
  return {.bits = format.spec->bits,
          .symmetric = format.symmetric,
          .packed = format.packed && format.spec->bits < 8,
          .unsigned_codes = layer.unsigned_codes,
          .scale_dtype = format.scale_dtype,
          .scaled = format.scaled,
          .saturate = policy == NonFinitePolicy::kSaturate,
          .stochastic = format.rounding == Rounding::kStochastic,
          .random_key = layer.random_key};
}

// Rows of the layer, one behind the other, seen as one; rows with gaps as they are. Where no row
// has a scale of its own, narrow rows cost what wide ones do.
InputTile as_one_row(InputTile input) noexcept {
  const std::size_t row_bytes = input.cols * size_of(input.dtype);
  // Tiles of several rows are of whole ones.
  if (input.rows > 1 && input.row_stride_bytes == static_cast<std::ptrdiff_t>(row_bytes)) {
    input.cols *= input.rows;
    input.layer_cols = input.cols;
    input.row_stride_bytes *= static_cast<std::ptrdiff_t>(input.rows);
    input.rows = 1;
  }
  return input;
}

// Whether neither rows nor parts of them have scales of their own.
bool has_no_groups(const LayerPlan& layer) noexcept {
  const Encoding& encoding = layer.encoding;
  if (encoding.block_cols < layer.cols) return false;
  return encoding.range_span == RangeSpan::kTensor ||
         (encoding.range_span == RangeSpan::kNone && encoding.codes().step_cols == 1);
}

// Whether the codes of a tile's rows, each of them whole bytes, lie one behind the other.
bool codes_follow(const LayerPlan& layer, const InputTile& input,
                  const TileOutput& output) noexcept {
  const PartSpec& codes = layer.encoding.codes();
  return input.cols % codes.step_cols == 0 &&
         input.cols / codes.step_cols * codes.step_bytes == output.parts[Role::kCodes].row_stride;
}

}  // namespace

InputTile input_tile(const LayerPlan& layer, const Tile& tile, const void* data,
                     std::ptrdiff_t row_stride_bytes) noexcept {
  return {.data = static_cast<const std::byte*>(data),
          .dtype = layer.dtype,
          .rows = tile.rows,
          .cols = tile.cols,
          .row_stride_bytes = row_stride_bytes,
          .first_index = tile.row * layer.cols + tile.col,
          .layer_cols = layer.cols};
}

bool starts_span(const LayerPlan& layer, const Tile& tile) noexcept {
  if (layer.encoding.range_span == RangeSpan::kTensor && tile.row != 0) return false;
  return tile.col % layer.encoding.block_cols == 0;
}

PerRole<PartOutput> tile_parts(const LayerPlan& layer, const Tile& tile,
                               const QuantizedSpan& layer_parts) noexcept {
  PerRole<PartOutput> parts;
  for (const PartSpec& part : layer.encoding.parts()) {
    const PartSlice slice = slice_of(part, tile);
    parts[part.role] = {slice.owned ? layer_parts[part.role] + slice.offset : nullptr,
                        part.row_stride(part.row_bytes)};
  }
  return parts;
}

PerRole<PartInput> tile_parts(const LayerPlan& layer, const Tile& tile,
                              const QuantizedView& layer_parts) noexcept {
  PerRole<PartInput> parts;
  for (const PartSpec& part : layer.encoding.parts()) {
    parts[part.role] = {layer_parts[part.role] + slice_of(part, tile).offset,
                        part.row_stride(part.row_bytes)};
  }
  return parts;
}

void find_range(const InputTile& input, Target target, Range& range, TileReport& report) noexcept {
  shared_kernels(target).range(as_one_row(input), range, report);
}

void quantize_tile(const LayerPlan& layer, const InputTile& input, const TileOutput& output,
                   const Range* range, NonFinitePolicy policy, Target target,
                   TileReport& report) noexcept {
  EncodeTile tile{.input = input,
                  .group_size = layer.encoding.block_cols,
                  .rule = code_rule(layer, policy),
                  .range = range,
                  .parts = output.parts,
                  .stream_codes = output.stream_codes,
                  .fetch_ahead = output.fetch_ahead};
  if (has_no_groups(layer) && codes_follow(layer, input, output)) {
    tile.input = as_one_row(input);
    tile.group_size = std::max(tile.group_size, tile.input.cols);
  }
  layer.format.spec->kernels(target).encode(tile, report);
}

void dequantize_tile(const LayerPlan& layer, const Tile& tile, const PerRole<PartInput>& stored,
                     Target target, const DequantizedSpan& output, std::size_t row_bytes) noexcept {
  const DecodeTile job{.parts = stored,
                       .rows = tile.rows,
                       .cols = tile.cols,
                       .group_size = layer.encoding.block_cols,
                       .rule = code_rule(layer, NonFinitePolicy::kRaise),
                       .output = output.data,
                       .dtype = output.dtype,
                       .output_row_bytes = row_bytes};
  layer.format.spec->kernels(target).decode(job);
}

void measure_tile(const LayerPlan& layer, const InputTile& original,
                  const PerRole<PartInput>& stored, Target target, float* restored,
                  ErrorSums& sums) noexcept {
  dequantize_tile(layer, {.rows = original.rows, .cols = original.cols}, stored, target,
                  {.data = restored, .dtype = DType::kF32}, original.cols * sizeof(float));

  constexpr std::size_t kStretch = 1024;  // a multiple of the lanes
  std::array<float, kStretch> originals;
  const SharedKernels& kernels = shared_kernels(target);
  ErrorLanes lanes;
  for (std::size_t row = 0; row < original.rows; ++row) {
    const std::byte* data =
        original.data + static_cast<std::ptrdiff_t>(row) * original.row_stride_bytes;
    for (std::size_t col = 0; col < original.cols; col += kStretch) {
      const std::size_t count = std::min(kStretch, original.cols - col);
      kernels.to_f32(data + col * size_of(original.dtype), original.dtype, count, originals.data());
      kernels.add_errors(originals.data(), restored + row * original.cols + col, count, lanes);
    }
  }
  add_lanes(lanes, sums);
}

void add_lanes(const ErrorLanes& lanes, ErrorSums& sums) noexcept {
  for (std::size_t lane = 0; lane < ErrorLanes::kCount; ++lane) {
    sums.add({.max_abs = lanes.max_abs[lane],
              .squared_error = lanes.squared_error[lane],
              .squared_original = lanes.squared_original[lane],
              .squared_restored = lanes.squared_restored[lane],
              .product = lanes.product[lane],
              .count = static_cast<std::uint64_t>(lanes.count[lane])});
  }
}

std::uint64_t range_count(const LayerPlan& layer) noexcept {
  const Tile behind_the_last{.row = layer.rows};
  return layer.encoding.range_span == RangeSpan::kTensor ? 1 : range_index(layer, behind_the_last);
}

std::uint64_t range_index(const LayerPlan& layer, const Tile& tile) noexcept {
  switch (layer.encoding.range_span) {
    case RangeSpan::kTensor:
    case RangeSpan::kNone:  // has no range pass
      return 0;
    case RangeSpan::kRow:
      return tile.row;
    case RangeSpan::kGroup: {
      const std::uint64_t group = layer.encoding.block_cols;
      return tile.row * divide_up(layer.cols, group) + tile.col / group;
    }
  }
  return 0;
}

void widen(Range& range, const Range& other) noexcept {
  range.lo = std::min(range.lo, other.lo);
  range.hi = std::max(range.hi, other.hi);
}

bool range_overflows(const LayerPlan& layer, const Range& range) noexcept {
  return layer.encoding.needs_width && !std::isfinite(range.hi - range.lo);
}

void add_report(TileReport& total, const TileReport& tile) noexcept {
  if (total.non_finite == 0 && tile.non_finite != 0) {
    total.first_non_finite = tile.first_non_finite;
    total.kind = tile.kind;
  }
  total.non_finite += tile.non_finite;
  if (total.beyond_f32 == 0 && tile.beyond_f32 != 0) {
    total.first_beyond_f32 = tile.first_beyond_f32;
    total.value_beyond_f32 = tile.value_beyond_f32;
  }
  total.beyond_f32 += tile.beyond_f32;
  if (!total.range_overflow && tile.range_overflow) {
    total.range_overflow = true;
    total.first_overflow = tile.first_overflow;
  }
}

Status to_status(std::size_t layer, const TileReport& total, NonFinitePolicy policy) noexcept {
  const bool raises = policy == NonFinitePolicy::kRaise;
  const bool beyond_comes_first =
      total.non_finite == 0 || total.first_beyond_f32 < total.first_non_finite;
  if (raises && total.beyond_f32 != 0 && beyond_comes_first) {
    return {.code = StatusCode::kBeyondF32,
            .layer = layer,
            .position = total.first_beyond_f32,
            .count = total.beyond_f32,
            .value = total.value_beyond_f32};
  }
  if (raises && total.non_finite != 0) {
    return {.code = StatusCode::kNonFinite,
            .layer = layer,
            .position = total.first_non_finite,
            .count = total.non_finite,
            .kind = total.kind};
  }
  if (total.range_overflow) {
    return {.code = StatusCode::kRangeOverflow, .layer = layer, .position = total.first_overflow};
  }
  return {.layer = layer};
}

}  // namespace quarrow
