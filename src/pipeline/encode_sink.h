// SPDX-License-Identifier: Apache-2.0
//
// Values become quantized layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/format_kernels.h"
#include "pipeline/layer_writer.h"
#include "pipeline/tile_memory.h"
#include "pipeline/tile_work.h"
#include "pipeline/value_source.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {

class EncodeSink final : public TileWork {
 public:
  EncodeSink(const Sources& sources, const FilePlan& plan, Outputs outputs,
             const FileJobOptions& options, const Context& context);

  std::size_t tile_count(const TensorPlan& tensor) const override;
  bool has_first_pass(const TensorPlan& tensor) const override;
  // What a tile contributes to the range of its span; then the tiles of a span share one range.
  void first_pass(std::size_t tile, std::size_t tensor, std::size_t worker) override;
  void finish_first_pass(std::size_t tensor) override;
  std::uint64_t run(std::size_t tile, std::size_t tensor, std::size_t worker) override;
  void begin_inspection(std::size_t tensor) override;
  void inspect(std::size_t tile, std::size_t tensor, std::size_t worker) override;
  void end_inspection(std::size_t tensor) override;

  // The sums of all tiles, in tile order; empty unless options.measure_error.
  std::vector<ErrorSums> errors() const;

 private:
  struct Buffers {
    TileMemory parts;
    Scratch restored;  // f32
  };

  const LayerPlan& layer_of(std::size_t tensor) const {
    return plan_.layers.layers[plan_.tensors[tensor].layer];
  }
  InputTile read(const Tile& tile, std::size_t tensor, std::size_t worker) const;
  // Writes the tile unless its report is bad or `write` is false.
  void quantize(std::size_t index, std::size_t tensor, std::size_t worker, bool write,
                TileReport& report);
  void throw_fault(std::size_t tensor, std::span<const TileReport> reports) const;

  const Sources& sources_;
  const FilePlan& plan_;
  LayerWriter writer_;
  const FileJobOptions& options_;
  Target target_;
  std::vector<Buffers> buffers_;       // of each worker
  std::vector<Range> ranges_;          // of each tile, when the plan has a range pass
  std::vector<TileReport> reports_;    // of each tile, when the plan has a range pass
  std::vector<TileReport> inspected_;  // of the tiles of the layer that failed
  std::vector<ErrorSums> errors_;      // of each tile, when measured
};

}  // namespace quarrow
