// SPDX-License-Identifier: Apache-2.0
//
// The parts of layers that a file holds quantized: the inverse of LayerWriter.
#pragma once

#include <cstddef>

#include "kernels/format_kernels.h"
#include "pipeline/tile_memory.h"
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

  // What a tile has of a part, rows stored_row_bytes() apart: in `buffer`, which has room for it
  // and suits its elements, or where the file is mapped.
  const std::byte* part(const PartSpec& part, const Tile& tile, std::byte* buffer) const;

  // All parts of a tile.
  PerRole<PartInput> parts(const Tile& tile, TileMemory& memory) const;

 private:
  const Checkpoint& file_;
  const StoredLayer& stored_;
  const LayerPlan& layer_;
  Target target_;
};

}  // namespace quarrow
