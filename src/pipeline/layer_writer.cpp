// SPDX-License-Identifier: Apache-2.0
#include "pipeline/layer_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "quantize/run_tile.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kWordBytes = 4;

std::uint64_t aligned(std::uint64_t bytes, std::uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Exact: a scale is a normal number of its dtype.
std::uint16_t narrowed(float scale, DType dtype) {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  if (dtype == DType::kBF16) return static_cast<std::uint16_t>(bits >> 16);
  constexpr std::uint32_t kRebias = (127 - 15) << 23;
  return static_cast<std::uint16_t>((bits - kRebias) >> 13);
}

bool ends_row(const LayerPlan& layer, const Tile& tile) {
  return tile.col + tile.cols == layer.cols;
}

}  // namespace

std::uint64_t stored_row_bytes(const LayerPlan& layer, const Tile& tile, const Storage& storage) {
  const std::uint64_t bytes = placement(layer, tile).code_row_bytes;
  return tile.cols == layer.cols ? aligned(bytes, storage.row_alignment) : bytes;
}

void LayerWriter::write(const Tile& tile, std::size_t tensor, const TileResult& result) {
  const LayerPlan& layer = plan_.layers.layers[tile.layer];
  const TensorPlan& placed = plan_.tensors[tensor];
  write_codes(tile, placed, result.codes);
  if (layer.geometry.zero_points) {
    add_zero_points(tile, placed, writes_scales(layer, tile) ? result.zero_points : nullptr);
  }
  if (writes_scales(layer, tile)) write_scales(tile, placed, result.scales);
}

std::uint64_t LayerWriter::codes_position(const Tile& tile, const TensorPlan& placed) const {
  const Geometry& geometry = plan_.layers.layers[tile.layer].geometry;
  const TilePlacement at = placement(plan_.layers.layers[tile.layer], tile);
  const std::uint64_t in_row = at.code_offset - tile.row * geometry.code_row_bytes;
  const std::uint64_t row_alignment = placed.layout->storage.row_alignment;
  return placed.data_position + tile.row * aligned(geometry.code_row_bytes, row_alignment) + in_row;
}

std::uint8_t* LayerWriter::codes_place(const Tile& tile, std::size_t tensor,
                                       std::uint8_t* scratch) const {
  const TensorPlan& placed = plan_.tensors[tensor];
  // Rows of a tile lie as they do there, or it is of one row.
  std::byte* const there = outputs_[placed.output]->memory_at(codes_position(tile, placed));
  return there == nullptr ? scratch : reinterpret_cast<std::uint8_t*>(there);
}

void LayerWriter::write_codes(const Tile& tile, const TensorPlan& placed, std::uint8_t* codes) {
  const LayerPlan& layer = plan_.layers.layers[tile.layer];
  const Storage& storage = placed.layout->storage;
  const TilePlacement at = placement(layer, tile);
  const std::uint64_t stride = stored_row_bytes(layer, tile, storage);
  const std::uint64_t file_row = aligned(layer.geometry.code_row_bytes, storage.row_alignment);
  std::uint64_t bytes = (tile.rows - 1) * stride + at.code_row_bytes;
  if (ends_row(layer, tile)) {
    const std::uint64_t padding = file_row - layer.geometry.code_row_bytes;
    for (std::uint64_t row = 0; row < tile.rows; ++row) {
      std::memset(codes + row * stride + at.code_row_bytes, 0, padding);
    }
    bytes += padding;
  }
  outputs_[placed.output]->write_at(codes, bytes, codes_position(tile, placed));
}

void LayerWriter::write_scales(const Tile& tile, const TensorPlan& placed, float* scales) {
  const LayerPlan& layer = plan_.layers.layers[tile.layer];
  const TilePlacement at = placement(layer, tile);
  const std::uint64_t rows = layer.geometry.scale_rows == 1 ? 1 : tile.rows;
  const std::uint64_t count = rows * at.scale_row_count;
  const DType dtype = layer.format.scale_dtype;
  const std::uint64_t scale_bytes = size_of(dtype);
  auto* narrow = reinterpret_cast<std::uint8_t*>(scales);
  if (dtype != DType::kF32) {
    // Front to back, so that no scale is overwritten before it is read.
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint16_t bits = narrowed(scales[i], dtype);
      std::memcpy(narrow + i * sizeof bits, &bits, sizeof bits);
    }
  }
  outputs_[placed.output]->write_at(narrow, count * scale_bytes,
                                    placed.scales_position + at.scale_offset * scale_bytes);
}

void LayerWriter::add_zero_points(const Tile& tile, const TensorPlan& placed,
                                  const std::uint8_t* values) {
  const LayerPlan& layer = plan_.layers.layers[tile.layer];
  ZeroPoints* held = nullptr;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = unfinished_[tile.layer];
    // Whole before it is in the table: other tiles of the layer go on when there is no memory here.
    if (slot == nullptr) slot = std::make_unique<ZeroPoints>(layer);
    held = slot.get();
  }
  if (values != nullptr) {
    const TilePlacement at = placement(layer, tile);
    std::copy_n(values, tile.rows * at.scale_row_count,
                held->values.begin() + static_cast<std::ptrdiff_t>(at.scale_offset));
  }
  if (held->tiles_left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  write_zero_points(layer, placed, held->values);
  const std::lock_guard lock(mutex_);
  unfinished_.erase(tile.layer);
}

void LayerWriter::write_zero_points(const LayerPlan& layer, const TensorPlan& placed,
                                    const std::vector<std::uint8_t>& values) {
  const auto bits = static_cast<std::uint64_t>(layer.format.spec->bits);
  const std::uint64_t per_word = 8 * kWordBytes / bits;
  const std::uint64_t groups = layer.geometry.groups;
  std::vector<std::uint32_t> words(groups);
  std::uint64_t position = placed.zero_points_position;
  for (std::uint64_t first = 0; first < layer.rows; first += per_word) {
    std::ranges::fill(words, 0U);
    const std::uint64_t rows = std::min(per_word, layer.rows - first);
    for (std::uint64_t row = 0; row < rows; ++row) {
      for (std::uint64_t group = 0; group < groups; ++group) {
        const std::uint32_t value = values[(first + row) * groups + group];
        words[group] |= value << (row * bits);
      }
    }
    outputs_[placed.output]->write_at(words.data(), groups * kWordBytes, position);
    position += groups * kWordBytes;
  }
}

}  // namespace quarrow
