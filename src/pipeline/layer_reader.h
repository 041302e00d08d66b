// SPDX-License-Identifier: Apache-2.0
//
// Codes, scales and zero points of layers that a file holds quantized: the inverse of LayerWriter.
#pragma once

#include <cstdint>

#include "quarrow/layouts/stored_layer.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// May be called from several threads. Throws CheckpointFault (kShrank, kChanged) and
// filesystem_error.
class LayerReader {
 public:
  LayerReader(const Checkpoint& file, const StoredLayer& stored, const LayerPlan& layer,
              Target target)
      : file_(file), stored_(stored), layer_(layer), target_(target) {}

  // The codes of a tile as they are stored, rows stored_row_bytes() apart: in `buffer`, which has
  // room for them, or where the file is mapped.
  const std::uint8_t* codes(const Tile& tile, void* buffer) const;
  // Those of the tile, TilePlacement::scale_row_count a row; the layer's one scale for all rows.
  void scales(const Tile& tile, float* values) const;
  void zero_points(const Tile& tile, std::uint8_t* values) const;

 private:
  const Checkpoint& file_;
  const StoredLayer& stored_;
  const LayerPlan& layer_;
  Target target_;
};

}  // namespace quarrow
