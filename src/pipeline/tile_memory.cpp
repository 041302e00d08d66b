// SPDX-License-Identifier: Apache-2.0
#include "pipeline/tile_memory.h"

#include <algorithm>

#include "quarrow/layouts/stored_layer.h"

namespace quarrow {

TileSizes::TileSizes(const Plan& plan) {
  for (const Tile& tile : plan.tiles) {
    const LayerPlan& layer = plan.layers[tile.layer];
    elements = std::max(elements, tile.rows * tile.cols);
    input_bytes = std::max(input_bytes, tile.rows * tile.cols * size_of(layer.dtype));
    for (const PartSpec& part : layer.encoding.parts()) {
      const PartSlice slice = slice_of(part, tile);
      std::uint64_t& most = part_bytes[part.role];
      most = std::max(most, slice.rows * (slice.row_bytes + kMaxRowAlignment));
    }
  }
}

TileMemory::TileMemory(const TileSizes& sizes) {
  for (std::size_t role = 0; role < kRoles; ++role) {
    parts_.items[role] = std::make_unique_for_overwrite<std::byte[]>(sizes.part_bytes.items[role]);
  }
}

}  // namespace quarrow
