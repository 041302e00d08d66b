// SPDX-License-Identifier: Apache-2.0
#include "pipeline/encoded_tiles.h"

#include <algorithm>

#include "pipeline/code_bits.h"

namespace quarrow {
namespace {

// A byte a code becomes bits: codes that share a byte lie in it lowest first.
void pack(const std::byte* codes, std::uint64_t count, int bits, std::byte* to) {
  const auto per_byte = static_cast<std::uint64_t>(8 / bits);
  const auto mask = static_cast<unsigned>((1 << bits) - 1);
  for (std::uint64_t first = 0; first < count; first += per_byte) {
    unsigned byte = 0;
    const std::uint64_t end = std::min(first + per_byte, count);
    for (std::uint64_t i = end; i-- > first;)
      byte = byte << bits | (std::to_integer<unsigned>(codes[i]) & mask);
    *to++ = static_cast<std::byte>(byte);
  }
}

}  // namespace

EncodedTiles::EncodedTiles(const FilePlan& plan, Outputs outputs,
                           std::span<const EncodedLayer> encoded, const Context& context)
    : plan_(plan),
      writer_(plan, outputs),
      encoded_(encoded),
      memory_(std::max<std::size_t>(context.threads, 1)) {}

std::size_t EncodedTiles::tile_count(const TensorPlan& tensor) const {
  return plan_.layers.layers[tensor.layer].tile_count;
}

std::uint64_t EncodedTiles::run(std::size_t index, std::size_t tensor, std::size_t worker) {
  const TensorPlan& planned = plan_.tensors[tensor];
  const LayerPlan& layer = plan_.layers.layers[planned.layer];
  const Tile& tile = plan_.layers.tiles[layer.first_tile + index];
  const QuantizedView& encoded = encoded_[planned.layer].parts;
  PerRole<std::byte*> parts;
  for (const PartSpec& part : layer.encoding.parts()) {
    parts[part.role] = memory_[worker].room(part, tile);
    if (part.role == Role::kCodes) {
      copy_codes(tile, planned, parts[part.role]);
    } else {
      const PartSlice slice = slice_of(part, tile);
      std::copy_n(encoded[part.role] + slice.offset, slice.bytes(), parts[part.role]);
    }
  }
  writer_.write(tile, tensor, parts);
  return equal_part(planned.bytes_in(), index, layer.tile_count);
}

// As the file stores them, but for the padding.
void EncodedTiles::copy_codes(const Tile& tile, const TensorPlan& planned, std::byte* to) const {
  const LayerPlan& layer = plan_.layers.layers[planned.layer];
  const EncodedLayer& encoded = encoded_[planned.layer];
  const std::byte* const codes = encoded.parts[Role::kCodes];
  const PartSpec& part = layer.encoding.codes();
  const PartSlice slice = slice_of(part, tile);
  const int bits = layer.format.spec->bits;
  const bool flip = layer.unsigned_codes && layer.format.symmetric;
  const auto flipped = std::byte{flip ? sign_bits(bits) : std::uint8_t{0}};
  const bool ends_row = tile.col + tile.cols == layer.cols;
  const auto mask = std::byte{ends_row ? last_byte_mask(layer) : std::uint8_t{0xFF}};
  const std::uint64_t row_bytes =
      stored_row_bytes(part, slice, planned.layout->storage.parts[Role::kCodes]);
  for (std::uint64_t row = 0; row < slice.rows; ++row, to += row_bytes) {
    if (encoded.packed) {
      std::copy_n(codes + slice.offset + row * part.row_bytes, slice.row_bytes, to);
    } else {
      pack(codes + (tile.row + row) * layer.cols + tile.col, tile.cols, bits, to);
    }
    std::transform(to, to + slice.row_bytes, to,
                   [flipped](std::byte code) { return code ^ flipped; });
    to[slice.row_bytes - 1] &= mask;
  }
}

}  // namespace quarrow
