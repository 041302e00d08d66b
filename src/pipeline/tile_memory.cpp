// SPDX-License-Identifier: Apache-2.0
#include "pipeline/tile_memory.h"

#include <algorithm>

#include "quarrow/layouts/stored_layer.h"

namespace quarrow {

TileSizes::TileSizes(const Plan& plan) {
  for (const Tile& tile : plan.tiles) {
    const LayerPlan& layer = plan.layers[tile.layer];
    const TilePlacement at = placement(layer, tile);
    elements = std::max(elements, tile.rows * tile.cols);
    input_bytes = std::max(input_bytes, tile.rows * tile.cols * size_of(layer.dtype));
    code_bytes = std::max(code_bytes, tile.rows * (at.code_row_bytes + kMaxRowAlignment));
    scales = std::max(scales, tile.rows * at.scale_row_count);
  }
}

TileMemory::TileMemory(const TileSizes& sizes)
    : codes(std::make_unique_for_overwrite<std::uint8_t[]>(sizes.code_bytes)),
      scales(std::make_unique_for_overwrite<float[]>(sizes.scales)),
      zero_points(std::make_unique_for_overwrite<std::uint8_t[]>(sizes.scales)) {}

}  // namespace quarrow
