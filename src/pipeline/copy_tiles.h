// SPDX-License-Identifier: Apache-2.0
//
// Tensors that are copied byte for byte, and float tensors that get another dtype.
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

// Values are rounded to f32 first, to nearest even both times. NaN and Inf stay what they are.
class ConvertTiles final : public TileWork {
 public:
  ConvertTiles(const Checkpoint& source, const FilePlan& plan, Outputs outputs,
               const Context& context);

  std::size_t tile_count(const TensorPlan& tensor) const override;
  // Throws LayerFault (kValueOverflow).
  std::uint64_t run(std::size_t tile, std::size_t tensor, std::size_t worker) override;
  void begin_inspection(std::size_t tensor) override;
  void inspect(std::size_t tile, std::size_t tensor, std::size_t worker) override;
  void end_inspection(std::size_t tensor) override;

 private:
  // The values of a tile in the new dtype, in output.
  struct Converted {
    std::uint64_t first = 0;  // element
    std::uint64_t count = 0;
    std::uint64_t first_overflow = 0;  // element; past the end when all fit
  };
  struct Buffers {
    std::unique_ptr<std::byte[]> input;
    std::unique_ptr<float[]> values;
    std::unique_ptr<std::byte[]> output;
  };

  Converted convert(std::size_t tile, std::size_t tensor, std::size_t worker);

  const Checkpoint& source_;
  const FilePlan& plan_;
  Outputs outputs_;
  Target target_;
  std::vector<Buffers> buffers_;          // of each worker, made at its first tile
  std::vector<std::uint64_t> overflows_;  // of each tile that was inspected
};

}  // namespace quarrow
