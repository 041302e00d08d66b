// SPDX-License-Identifier: Apache-2.0
//
// Values of layers that the source holds quantized.
#pragma once

#include <vector>

#include "pipeline/tile_memory.h"
#include "pipeline/value_source.h"
#include "quarrow/core/context.h"
#include "quarrow/quantize/execute.h"

namespace quarrow {

class StoredSource final : public ValueSource {
 public:
  StoredSource(const Checkpoint& source, const Context& context);

  const std::byte* read(const TensorPlan& tensor, const Tile& tile, std::size_t worker) override;
  std::uint64_t convert(const TensorPlan& tensor, const Tile& tile, DType dtype, std::byte* to,
                        std::size_t worker) override;

 private:
  struct Buffers {
    TileMemory parts;
    Scratch stretch;  // of a row, from where a byte of codes begins
    Scratch values;   // f32
  };

  // `dtype`: f32, f16 or bf16.
  void decode(const TensorPlan& tensor, const Tile& tile, DType dtype, std::byte* to,
              Buffers& mine) const;

  // Of one group, or of whole ones.
  void decode_stretch(const TensorPlan& tensor, LayerPlan layer, const Tile& stretch, DType dtype,
                      std::byte* to, Buffers& mine) const;

  const Checkpoint& source_;
  Target target_;
  std::vector<Buffers> buffers_;  // of each worker
};

}  // namespace quarrow
