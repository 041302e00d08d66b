// SPDX-License-Identifier: Apache-2.0
//
// Parts that do not lie row by row in their entries: a layer's is written when all of it is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/file.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// Each knows the part of a layer by its PartSpec. Throws what reading and writing does.
struct Packing {
  // Writes the entry, which begins at `position`.
  void (*write)(const LayerPlan& layer, const PartSpec& part, std::span<const std::byte> values,
                const File& file, std::uint64_t position);
  // Reads what a tile has of the part: its rows, one behind the other.
  void (*read)(const LayerPlan& layer, const PartSpec& part, const Tile& tile,
               const Checkpoint& file, const TensorEntry& entry, std::byte* values);
};

// compressed-tensors' zero points: values of as many bits as the codes have, in words of 32 bits
// down the columns, the first row lowest.
extern const Packing kWordsDownColumns;

}  // namespace quarrow
