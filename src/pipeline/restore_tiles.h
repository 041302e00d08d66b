// SPDX-License-Identifier: Apache-2.0
//
// Layers that a file holds quantized: read, dequantized, written as values.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "pipeline/tile_memory.h"
#include "pipeline/tile_work.h"
#include "quarrow/core/context.h"

namespace quarrow {

class RestoreTiles final : public TileWork {
 public:
  RestoreTiles(const Checkpoint& source, const FilePlan& plan, const TileSizes& sizes,
               Outputs outputs, const Context& context);

  std::size_t tile_count(const TensorPlan& tensor) const override;
  std::uint64_t run(std::size_t tile, std::size_t tensor, std::size_t worker) override;

 private:
  struct Buffers {
    TileMemory tile;
    std::unique_ptr<std::byte[]> values;
  };

  Buffers& buffers(std::size_t worker);

  const Checkpoint& source_;
  const FilePlan& plan_;
  Outputs outputs_;
  Target target_;
  const TileSizes& sizes_;
  std::size_t value_bytes_ = 0;  // of the widest dtype that is written
  std::vector<Buffers> buffers_;
};

}  // namespace quarrow
