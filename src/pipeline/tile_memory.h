// SPDX-License-Identifier: Apache-2.0
//
// The memory in which a worker holds the quantized values of a tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "quarrow/quantize/plan.h"

namespace quarrow {

// Of the largest tiles of a plan, whichever has most of each.
struct TileSizes {
  explicit TileSizes(const Plan& plan);

  std::uint64_t elements = 0;
  std::uint64_t input_bytes = 0;      // of the elements, in the dtype of their layer
  PerRole<std::uint64_t> part_bytes;  // with room for the padding of any alignment
};

struct TileMemory {
  TileMemory() = default;  // none
  explicit TileMemory(const TileSizes& sizes);

  // Suits every type of element.
  std::byte* operator[](Role role) const noexcept { return parts_[role].get(); }

 private:
  PerRole<std::unique_ptr<std::byte[]>> parts_;
};

}  // namespace quarrow
