// SPDX-License-Identifier: Apache-2.0
#include "pipeline/encoded_tiles.h"

#include <algorithm>

#include "pipeline/code_bits.h"

namespace quarrow {
namespace {

// A byte a code becomes bits: codes that share a byte lie in it lowest first.
void pack(const std::uint8_t* codes, std::uint64_t count, int bits, std::uint8_t* to) {
  const auto per_byte = static_cast<std::uint64_t>(8 / bits);
  const auto mask = static_cast<unsigned>((1 << bits) - 1);
  for (std::uint64_t first = 0; first < count; first += per_byte) {
    unsigned byte = 0;
    const std::uint64_t end = std::min(first + per_byte, count);
    for (std::uint64_t i = end; i-- > first;) byte = byte << bits | (codes[i] & mask);
    *to++ = static_cast<std::uint8_t>(byte);
  }
}

}  // namespace

EncodedTiles::EncodedTiles(const FilePlan& plan, const TileSizes& sizes, Outputs outputs,
                           std::span<const EncodedLayer> encoded, const Context& context)
    : plan_(plan),
      writer_(plan, outputs),
      encoded_(encoded),
      sizes_(sizes),
      memory_(std::max<std::size_t>(context.threads, 1)) {}

std::size_t EncodedTiles::tile_count(const TensorPlan& tensor) const {
  return plan_.layers.layers[tensor.layer].tile_count;
}

std::uint64_t EncodedTiles::run(std::size_t index, std::size_t tensor, std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const LayerPlan& layer = plan_.layers.layers[planned.layer];
  const Tile& tile = plan_.layers.tiles[layer.first_tile + index];
  const TilePlacement at = placement(layer, tile);
  const QuantizedView& parts = encoded_[planned.layer].parts;
  TileMemory& mine = memory(worker);
  copy_codes(tile, planned, mine.codes.get());
  const std::uint64_t scale_rows = layer.geometry.scale_rows == 1 ? 1 : tile.rows;
  const std::uint64_t scales = scale_rows * at.scale_row_count;
  std::copy_n(parts.scales + at.scale_offset, scales, mine.scales.get());
  if (layer.geometry.zero_points) {
    std::copy_n(parts.zero_points + at.scale_offset, scales, mine.zero_points.get());
  }
  writer_.write(tile, tensor, {mine.codes.get(), mine.scales.get(), mine.zero_points.get()});
  return equal_part(planned.bytes_in(), index, layer.tile_count);
}

// As the file stores them, but for the padding.
void EncodedTiles::copy_codes(const Tile& tile, const TensorPlan& planned, std::uint8_t* to) const {
  const LayerPlan& layer = plan_.layers.layers[planned.layer];
  const EncodedLayer& encoded = encoded_[planned.layer];
  const TilePlacement at = placement(layer, tile);
  const int bits = layer.format.spec->bits;
  const bool flip = layer.unsigned_codes && layer.format.symmetric;
  const std::uint8_t flipped = flip ? sign_bits(bits) : 0;
  const bool ends_row = tile.col + tile.cols == layer.cols;
  const std::uint8_t mask = ends_row ? last_byte_mask(layer) : 0xFF;
  const std::uint64_t row_bytes = stored_row_bytes(layer, tile, planned.layout->storage);
  for (std::uint64_t row = 0; row < tile.rows; ++row, to += row_bytes) {
    if (encoded.packed) {
      const std::uint64_t skipped = row * layer.geometry.code_row_bytes;
      std::copy_n(encoded.parts.codes + at.code_offset + skipped, at.code_row_bytes, to);
    } else {
      pack(encoded.parts.codes + (tile.row + row) * layer.cols + tile.col, tile.cols, bits, to);
    }
    std::transform(to, to + at.code_row_bytes, to,
                   [flipped](std::uint8_t code) { return code ^ flipped; });
    to[at.code_row_bytes - 1] &= mask;
  }
}

TileMemory& EncodedTiles::memory(std::size_t worker) {
  TileMemory& memory = memory_[worker];
  if (memory.codes == nullptr) memory = TileMemory(sizes_);
  return memory;
}

}  // namespace quarrow
