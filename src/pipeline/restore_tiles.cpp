// SPDX-License-Identifier: Apache-2.0
#include "pipeline/restore_tiles.h"

#include <algorithm>
#include <cstring>

#include "pipeline/layer_reader.h"
#include "pipeline/layer_writer.h"
#include "quantize/run_tile.h"

namespace quarrow {
namespace {

// Values of f32, the last ones of a buffer, become f64 from its first byte on.
void widen(const std::byte* from, std::uint64_t count, std::byte* to) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    float value = 0;
    std::memcpy(&value, from + i * sizeof(float), sizeof(float));
    const double wide = value;
    std::memcpy(to + i * sizeof(double), &wide, sizeof(double));
  }
}

}  // namespace

RestoreTiles::RestoreTiles(const Checkpoint& source, const FilePlan& plan, Outputs outputs,
                           const Context& context)
    : source_(source),
      plan_(plan),
      outputs_(outputs),
      target_(context.target),
      buffers_(std::max<std::size_t>(context.threads, 1)) {
  for (const Tile& tile : plan.layers.tiles) {
    const TilePlacement at = placement(plan.layers.layers[tile.layer], tile);
    elements_ = std::max(elements_, tile.rows * tile.cols);
    code_bytes_ = std::max(code_bytes_, tile.rows * (at.code_row_bytes + kMaxRowAlignment));
    scale_count_ = std::max(scale_count_, tile.rows * at.scale_row_count);
  }
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action != Action::kRestore) continue;
    value_bytes_ = std::max(value_bytes_, size_of(*float_dtype(tensor.dtype)));
  }
}

std::size_t RestoreTiles::tile_count(const TensorPlan& tensor) const {
  return plan_.layers.layers[tensor.layer].tile_count;
}

std::uint64_t RestoreTiles::run(std::size_t index, std::size_t tensor, std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const LayerPlan& layer = plan_.layers.layers[planned.layer];
  const Tile& tile = plan_.layers.tiles[layer.first_tile + index];
  const LayerReader reader(source_, *planned.stored, layer, target_);
  Buffers& mine = buffers(worker);
  const std::uint8_t* codes = reader.codes(tile, mine.codes.get());
  reader.scales(tile, mine.scales.get());
  if (layer.geometry.zero_points) reader.zero_points(tile, mine.zero_points.get());

  TileOutput stored;
  // Only read: QuantizedSpan serves both directions.
  stored.first = {const_cast<std::uint8_t*>(codes), mine.scales.get(),
                  layer.geometry.zero_points ? mine.zero_points.get() : nullptr};
  stored.codes_row_bytes = stored_row_bytes(layer, tile, *planned.stored->storage);
  stored.scales_row_stride =
      layer.geometry.scale_rows == 1 ? 0 : placement(layer, tile).scale_row_count;
  const DType dtype = *float_dtype(planned.dtype);
  // The engine restores to 32 bits and less, which 64 hold exactly.
  const DType computed = dtype == DType::kF64 ? DType::kF32 : dtype;
  const std::uint64_t count = tile.rows * tile.cols;
  std::byte* values = mine.values.get() + count * (size_of(dtype) - size_of(computed));
  dequantize_tile(layer, tile, stored, target_, {values, computed},
                  static_cast<std::size_t>(tile.cols * size_of(computed)));
  if (dtype == DType::kF64) widen(values, count, mine.values.get());
  outputs_[planned.output]->write_at(
      mine.values.get(), static_cast<std::size_t>(count * size_of(dtype)),
      planned.data_position + (tile.row * layer.cols + tile.col) * size_of(dtype));
  // Equal parts of the layer's entries, which add up to all of them.
  const bool last = index + 1 == layer.tile_count;
  const std::uint64_t done = planned.bytes_in() / layer.tile_count;
  return last ? planned.bytes_in() - done * index : done;
}

RestoreTiles::Buffers& RestoreTiles::buffers(std::size_t worker) {
  Buffers& buffers = buffers_[worker];
  if (buffers.values == nullptr) {
    buffers.codes = std::make_unique_for_overwrite<std::uint8_t[]>(code_bytes_);
    buffers.scales = std::make_unique_for_overwrite<float[]>(scale_count_);
    buffers.zero_points = std::make_unique_for_overwrite<std::uint8_t[]>(scale_count_);
    buffers.values = std::make_unique_for_overwrite<std::byte[]>(elements_ * value_bytes_);
  }
  return buffers;
}

}  // namespace quarrow
