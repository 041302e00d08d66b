// SPDX-License-Identifier: Apache-2.0
//
// Layers that a program holds quantized: written as their layout stores them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/layer_writer.h"
#include "pipeline/tile_memory.h"
#include "pipeline/tile_work.h"
#include "quarrow/core/context.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {

class EncodedTiles final : public TileWork {
 public:
  // `encoded`: see FileJobOptions; empty where no tensor is encoded.
  EncodedTiles(const FilePlan& plan, Outputs outputs, std::span<const EncodedLayer> encoded,
               const Context& context);

  std::size_t tile_count(const TensorPlan& tensor) const override;
  std::uint64_t run(std::size_t tile, std::size_t tensor, std::size_t worker) override;

 private:
  void copy_codes(const Tile& tile, const TensorPlan& planned, std::byte* to) const;

  const FilePlan& plan_;
  LayerWriter writer_;
  std::span<const EncodedLayer> encoded_;
  std::vector<TileMemory> memory_;  // of each worker
};

}  // namespace quarrow
