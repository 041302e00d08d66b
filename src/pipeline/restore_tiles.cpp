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

RestoreTiles::RestoreTiles(const Checkpoint& source, const FilePlan& plan, const TileSizes& sizes,
                           Outputs outputs, const Context& context)
    : source_(source),
      plan_(plan),
      outputs_(outputs),
      target_(context.target),
      sizes_(sizes),
      buffers_(std::max<std::size_t>(context.threads, 1)) {
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
  const PerRole<PartInput> stored = reader.parts(tile, mine.tile);
  const DType dtype = *float_dtype(planned.dtype);
  // The engine restores to 32 bits and less, which 64 hold exactly.
  const DType computed = dtype == DType::kF64 ? DType::kF32 : dtype;
  const std::uint64_t count = tile.rows * tile.cols;
  const File& output = *outputs_[planned.output];
  const std::uint64_t position =
      planned.data_position + (tile.row * layer.cols + tile.col) * size_of(dtype);
  std::byte* const there = output.memory_at(position);
  std::byte* const restored = there != nullptr ? there : mine.values.get();
  std::byte* const values = restored + count * (size_of(dtype) - size_of(computed));
  dequantize_tile(layer, tile, stored, target_, {values, computed},
                  static_cast<std::size_t>(tile.cols * size_of(computed)));
  if (dtype == DType::kF64) widen(values, count, restored);
  output.write_at(restored, static_cast<std::size_t>(count * size_of(dtype)), position);
  return equal_part(planned.bytes_in(), index, layer.tile_count);
}

RestoreTiles::Buffers& RestoreTiles::buffers(std::size_t worker) {
  Buffers& buffers = buffers_[worker];
  if (buffers.values == nullptr) {
    buffers.tile = TileMemory(sizes_);
    buffers.values = std::make_unique_for_overwrite<std::byte[]>(sizes_.elements * value_bytes_);
  }
  return buffers;
}

}  // namespace quarrow
