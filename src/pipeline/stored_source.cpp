// SPDX-License-Identifier: Apache-2.0
#include "pipeline/stored_source.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/checked_math.h"
#include "pipeline/layer_reader.h"
#include "quantize/run_tile.h"

namespace quarrow {
namespace {

// Columns of a row that are decoded at once to have others among them: from where a step of codes
// begins, in two pieces where the first begins within a group that ends before the last.
struct Stretch {
  Stretch(const Encoding& encoding, std::uint64_t cols, const Tile& tile) {
    const std::uint64_t group = encoding.block_cols;
    const std::uint64_t step = encoding.codes().step_cols;
    // A group that ends amid a byte: only whole groups can be decoded, from one that begins on one.
    const std::uint64_t from = group % step == 0 || group >= cols ? step : std::lcm(group, step);
    begin = tile.col - tile.col % from;
    end = std::min(round_up(tile.col + tile.cols, step), cols);
    split = begin % group == 0 ? end : std::min(begin - begin % group + group, end);
  }

  std::uint64_t begin = 0;
  std::uint64_t split = 0;
  std::uint64_t end = 0;
};

// Whether one of them may be Inf or NaN.
bool any_not_finite(const std::byte* values, std::uint64_t count, DType dtype) {
  const unsigned exponent = dtype == DType::kF16 ? 0x7C00U : 0x7F80U;
  bool any = false;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint16_t pattern = 0;
    std::memcpy(&pattern, values + i * sizeof pattern, sizeof pattern);
    any |= (pattern & exponent) == exponent;
  }
  return any;
}

}  // namespace

StoredSource::StoredSource(const Checkpoint& source, const Context& context)
    : source_(source),
      target_(context.target),
      buffers_(std::max<std::size_t>(context.threads, 1)) {}

DType StoredSource::dtype(const TensorPlan& /*tensor*/) const noexcept { return DType::kF32; }

const std::byte* StoredSource::read(const TensorPlan& tensor, const Tile& tile,
                                    std::size_t worker) {
  Buffers& mine = buffers_[worker];
  std::byte* const values = mine.values.room(tile.rows * tile.cols * sizeof(float));
  decode(tensor, tile, DType::kF32, values, mine);
  return values;
}

std::uint64_t StoredSource::convert(const TensorPlan& tensor, const Tile& tile, DType dtype,
                                    std::byte* to, std::size_t worker) {
  const std::uint64_t count = tile.rows * tile.cols;
  if (dtype == DType::kF64) {
    // The engine decodes to 32 bits and less, which 64 hold exactly.
    const auto* const values = reinterpret_cast<const float*>(read(tensor, tile, worker));
    for (std::uint64_t i = 0; i < count; ++i) {
      const double wide = values[i];
      std::memcpy(to + i * sizeof wide, &wide, sizeof wide);
    }
    return count;
  }
  decode(tensor, tile, dtype, to, buffers_[worker]);
  if (dtype == DType::kF32 || !any_not_finite(to, count, dtype)) return count;
  const auto* const values = reinterpret_cast<const float*>(read(tensor, tile, worker));
  for (std::uint64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i]) && any_not_finite(to + i * size_of(dtype), 1, dtype)) return i;
  }
  return count;
}

void StoredSource::decode(const TensorPlan& tensor, const Tile& tile, DType dtype, std::byte* to,
                          Buffers& mine) const {
  // Made anew for each tile, which costs nothing beside it: the plans of all layers would take as
  // much memory as the header.
  const LayerPlan layer = plan_stored_layers({tensor.stored, 1}).layers[0];
  const LayerReader reader(source_, *tensor.stored, layer, target_);
  const auto decode_piece = [&](const Tile& piece, std::byte* values) {
    dequantize_tile(layer, piece, reader.parts(piece, mine.parts), target_, {values, dtype},
                    static_cast<std::size_t>(piece.cols * size_of(dtype)));
  };
  if (tile.cols == layer.cols) return decode_piece(tile, to);
  const Stretch stretch(layer.encoding, layer.cols, tile);
  std::byte* const values = mine.stretch.room((stretch.end - stretch.begin) * size_of(dtype));
  Tile piece{.row = tile.row, .rows = 1, .col = stretch.begin};
  piece.cols = stretch.split - stretch.begin;
  decode_piece(piece, values);
  if (stretch.split != stretch.end) {
    piece.col = stretch.split;
    piece.cols = stretch.end - stretch.split;
    decode_piece(piece, values + (stretch.split - stretch.begin) * size_of(dtype));
  }
  std::memcpy(to, values + (tile.col - stretch.begin) * size_of(dtype), tile.cols * size_of(dtype));
}

}  // namespace quarrow
