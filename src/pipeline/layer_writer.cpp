// SPDX-License-Identifier: Apache-2.0
#include "pipeline/layer_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/checked_math.h"
#include "layouts/packing.h"

namespace quarrow {
namespace {

// Exact: a scale is a normal number of its dtype.
std::uint16_t narrowed(float scale, ElementType type) {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  if (type == ElementType::kBF16) return static_cast<std::uint16_t>(bits >> 16);
  constexpr std::uint32_t kRebias = (127 - 15) << 23;
  return static_cast<std::uint16_t>((bits - kRebias) >> 13);
}

// Front to back, so that no value is overwritten before it is read.
void narrow(std::byte* values, std::uint64_t count, ElementType type) {
  for (std::uint64_t i = 0; i < count; ++i) {
    float value = 0;
    std::memcpy(&value, values + i * sizeof value, sizeof value);
    const std::uint16_t bits = narrowed(value, type);
    std::memcpy(values + i * sizeof bits, &bits, sizeof bits);
  }
}

bool ends_row(const PartSpec& part, const PartSlice& slice) {
  return (slice.offset + slice.row_bytes) % part.row_bytes == 0;
}

}  // namespace

std::uint64_t bytes_as(const PartSpec& part, ElementType stored, std::uint64_t bytes) {
  if (!float_dtype(part.type)) return bytes;
  return bytes / block_of(part.type).bytes * block_of(stored).bytes;
}

std::uint64_t stored_row_bytes(const PartSpec& part, const PartSlice& slice,
                               const PartStorage& storage) {
  const bool whole = slice.row_bytes == part.row_bytes;
  return whole ? round_up(slice.row_bytes, storage.row_alignment) : slice.row_bytes;
}

std::uint64_t stored_offset(const PartSpec& part, const PartSlice& slice, const Tile& tile,
                            const PartStorage& storage, ElementType stored) {
  const std::uint64_t in_row = slice.offset - tile.row * part.row_stride(part.row_bytes);
  const std::uint64_t stored_row = round_up(part.row_bytes, storage.row_alignment);
  return bytes_as(part, stored, tile.row * part.row_stride(stored_row) + in_row);
}

std::byte* LayerWriter::codes_place(const Tile& tile, std::size_t tensor,
                                    std::byte* scratch) const {
  const TensorPlan& placed = plan_.tensors[tensor];
  const PartSpec& codes = plan_.layers.layers[tile.layer].encoding.codes();
  const PlacedParts& parts = plan_.placed[placed.layer];
  const std::uint64_t offset =
      stored_offset(codes, slice_of(codes, tile), tile, placed.layout->storage.parts[Role::kCodes],
                    parts.types[Role::kCodes]);
  // Rows of a tile lie as they do there, or it is of one row.
  std::byte* const there =
      outputs_[placed.output]->memory_at(parts.positions[Role::kCodes] + offset);
  return there == nullptr ? scratch : there;
}

void LayerWriter::write(const Tile& tile, std::size_t tensor, const PerRole<std::byte*>& parts) {
  const TensorPlan& placed = plan_.tensors[tensor];
  for (const PartSpec& part : plan_.layers.layers[tile.layer].encoding.parts()) {
    const PartSlice slice = slice_of(part, tile);
    if (placed.layout->storage.parts[part.role].packing != nullptr) {
      hold(tile, part, slice, placed, slice.owned ? parts[part.role] : nullptr);
    } else if (slice.owned) {
      write_rows(tile, part, slice, placed, parts[part.role]);
    }
  }
}

void LayerWriter::write_rows(const Tile& tile, const PartSpec& part, const PartSlice& slice,
                             const TensorPlan& placed, std::byte* values) {
  if (slice.bytes() == 0) return;
  const PartStorage& storage = placed.layout->storage.parts[part.role];
  const PlacedParts& parts = plan_.placed[placed.layer];
  const ElementType type = parts.types[part.role];
  const std::uint64_t stride = stored_row_bytes(part, slice, storage);
  std::uint64_t bytes = (slice.rows - 1) * stride + slice.row_bytes;
  if (ends_row(part, slice)) {
    const std::uint64_t padding = round_up(part.row_bytes, storage.row_alignment) - part.row_bytes;
    for (std::uint64_t row = 0; row < slice.rows; ++row) {
      std::memset(values + row * stride + slice.row_bytes, 0, padding);
    }
    bytes += padding;
  }
  const std::uint64_t stored_bytes = bytes_as(part, type, bytes);
  if (stored_bytes != bytes) narrow(values, bytes / block_of(part.type).bytes, type);
  outputs_[placed.output]->write_at(
      values, stored_bytes,
      parts.positions[part.role] + stored_offset(part, slice, tile, storage, type));
}

void LayerWriter::hold(const Tile& tile, const PartSpec& part, const PartSlice& slice,
                       const TensorPlan& placed, const std::byte* values) {
  const LayerPlan& layer = plan_.layers.layers[tile.layer];
  const std::size_t key = tile.layer * kRoles + static_cast<std::size_t>(part.role);
  Held* held = nullptr;
  {
    const std::lock_guard lock(mutex_);
    auto& slot = held_[key];
    // Whole before it is in the table: other tiles of the layer go on when there is no memory here.
    if (slot == nullptr) slot = std::make_unique<Held>(layer, part);
    held = slot.get();
  }
  if (values != nullptr) {
    std::copy_n(values, slice.bytes(),
                held->values.begin() + static_cast<std::ptrdiff_t>(slice.offset));
  }
  if (held->tiles_left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const Packing& packing = *placed.layout->storage.parts[part.role].packing;
  packing.write(layer, part, held->values, *outputs_[placed.output],
                plan_.placed[placed.layer].positions[part.role]);
  const std::lock_guard lock(mutex_);
  held_.erase(key);
}

}  // namespace quarrow
