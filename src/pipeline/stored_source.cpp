// SPDX-License-Identifier: Apache-2.0
#include "pipeline/stored_source.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/checked_math.h"
#include "pipeline/layer_reader.h"
#include "quantize/run_tile.h"

namespace quarrow {
namespace {

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
  if (tile.cols == layer.cols) {
    const LayerReader reader(source_, *tensor.stored, layer, target_);
    return dequantize_tile(layer, tile, reader.parts(tile, mine.parts), target_, {to, dtype},
                           static_cast<std::size_t>(tile.cols * size_of(dtype)));
  }
  // Of one row: each group by itself where they end amid a byte, else what is left of the first one
  // and then all others.
  const std::uint64_t group = layer.encoding.block_cols;
  const bool one_by_one = group % layer.encoding.codes().step_cols != 0;
  const std::uint64_t end = tile.col + tile.cols;
  for (std::uint64_t col = tile.col; col < end;) {
    const std::uint64_t in_group = col % group;
    const bool to_its_end = one_by_one || in_group != 0;
    const std::uint64_t next = to_its_end ? std::min(col - in_group + group, end) : end;
    decode_stretch(tensor, layer, {.row = tile.row, .rows = 1, .col = col, .cols = next - col},
                   dtype, to + (col - tile.col) * size_of(dtype), mine);
    col = next;
  }
}

void StoredSource::decode_stretch(const TensorPlan& tensor, LayerPlan layer, const Tile& stretch,
                                  DType dtype, std::byte* to, Buffers& mine) const {
  const std::uint64_t step = layer.encoding.codes().step_cols;
  const std::uint64_t before = stretch.col % step;
  Tile whole = stretch;
  whole.col -= before;
  whole.cols = std::min(round_up(stretch.col + stretch.cols, step), layer.cols) - whole.col;
  const LayerReader reader(source_, *tensor.stored, layer, target_);
  PerRole<PartInput> parts = reader.parts(whole, mine.parts);
  if (before != 0) {
    // The codes of the byte before, with the scale of this group.
    for (const PartSpec& part : layer.encoding.parts()) {
      if (part.role == Role::kCodes) continue;
      parts[part.role].data = reader.part(part, stretch, mine.parts.room(part, stretch));
    }
    layer.encoding.block_cols = whole.cols;
  }
  std::byte* const values = mine.stretch.room(whole.cols * size_of(dtype));
  dequantize_tile(layer, whole, parts, target_, {values, dtype},
                  static_cast<std::size_t>(whole.cols * size_of(dtype)));
  std::memcpy(to, values + before * size_of(dtype), stretch.cols * size_of(dtype));
}

}  // namespace quarrow
