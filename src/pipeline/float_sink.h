// SPDX-License-Identifier: Apache-2.0
//
// Values become a float tensor: plain ones of another dtype, or those of a quantized layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pipeline/tile_memory.h"
#include "pipeline/tile_work.h"
#include "pipeline/value_source.h"
#include "quarrow/core/context.h"

namespace quarrow {

class FloatSink final : public TileWork {
 public:
  FloatSink(const Sources& sources, const FilePlan& plan, Outputs outputs, const Context& context);

  std::size_t tile_count(const TensorPlan& tensor) const override;
  // Throws LayerFault (kValueOverflow).
  std::uint64_t run(std::size_t tile, std::size_t tensor, std::size_t worker) override;
  void begin_inspection(std::size_t tensor) override;
  void inspect(std::size_t tile, std::size_t tensor, std::size_t worker) override;
  void end_inspection(std::size_t tensor) override;

 private:
  const Sources& sources_;
  const FilePlan& plan_;
  Outputs outputs_;
  std::vector<Scratch> buffers_;          // of each worker
  std::vector<std::uint64_t> overflows_;  // of each tile that was inspected, see ValueSource
};

}  // namespace quarrow
