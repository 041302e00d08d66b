// SPDX-License-Identifier: Apache-2.0
//
// Tensors that are copied byte for byte.
#pragma once

#include <memory>
#include <vector>

#include "pipeline/copy_bytes.h"
#include "pipeline/tile_work.h"
#include "quarrow/core/context.h"

namespace quarrow {

class CopyTiles final : public TileWork {
 public:
  CopyTiles(const Checkpoint& source, const FilePlan& plan, Outputs outputs,
            const Context& context);

  std::size_t tile_count(const TensorPlan& tensor) const override;
  std::uint64_t run(std::size_t tile, std::size_t tensor, std::size_t worker) override;

 private:
  const Checkpoint& source_;
  const FilePlan& plan_;
  Outputs outputs_;
  ByteCopier copier_;
  std::vector<std::unique_ptr<std::byte[]>> buffers_;  // of each worker, made at its first tile
};

}  // namespace quarrow
