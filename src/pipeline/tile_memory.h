// SPDX-License-Identifier: Apache-2.0
//
// The memory of one worker, as much as the largest tile has needed: it depends on the tiles, not on
// the file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "quarrow/layouts/stored_layer.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

class Scratch {
 public:
  // Suits every type of element. What was in it is lost where it grows.
  std::byte* room(std::uint64_t bytes) {
    if (bytes > size_ || memory_ == nullptr) {
      size_ = 0;
      memory_.reset();
      memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
      size_ = bytes;
    }
    return memory_.get();
  }

 private:
  std::uint64_t size_ = 0;
  std::unique_ptr<std::byte[]> memory_;
};

// For the parts of a tile.
class TileMemory {
 public:
  // With room for the padding of any alignment.
  std::byte* room(const PartSpec& part, const Tile& tile) {
    const PartSlice slice = slice_of(part, tile);
    return parts_[part.role].room(slice.rows * (slice.row_bytes + kMaxRowAlignment));
  }

 private:
  PerRole<Scratch> parts_;
};

}  // namespace quarrow
