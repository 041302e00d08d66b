// SPDX-License-Identifier: Apache-2.0
//
// The memory in which a worker holds the quantized values of a tile.
#pragma once

#include <cstdint>
#include <memory>

#include "quarrow/quantize/plan.h"

namespace quarrow {

// Of the largest tiles of a plan, whichever has most of each.
struct TileSizes {
  explicit TileSizes(const Plan& plan);

  std::uint64_t elements = 0;
  std::uint64_t input_bytes = 0;  // of the elements, in the dtype of their layer
  std::uint64_t code_bytes = 0;   // with room for the padding of any alignment
  std::uint64_t scales = 0;
};

struct TileMemory {
  TileMemory() = default;  // none
  explicit TileMemory(const TileSizes& sizes);

  std::unique_ptr<std::uint8_t[]> codes;
  std::unique_ptr<float[]> scales;
  std::unique_ptr<std::uint8_t[]> zero_points;
};

}  // namespace quarrow
