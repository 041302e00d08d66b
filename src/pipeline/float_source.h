// SPDX-License-Identifier: Apache-2.0
//
// Values of a float type, as the source has them.
#pragma once

#include <vector>

#include "pipeline/tile_memory.h"
#include "pipeline/value_source.h"
#include "quarrow/core/context.h"

namespace quarrow {

class FloatSource final : public ValueSource {
 public:
  FloatSource(const Checkpoint& source, const Context& context);

  const std::byte* read(const TensorPlan& tensor, const Tile& tile, std::size_t worker) override;
  // Values are rounded to f32 first, to nearest even both times. NaN and Inf stay what they are.
  std::uint64_t convert(const TensorPlan& tensor, const Tile& tile, DType dtype, std::byte* to,
                        std::size_t worker) override;

 private:
  struct Buffers {
    Scratch stored;
    Scratch values;  // f32
  };

  const Checkpoint& source_;
  Target target_;
  std::vector<Buffers> buffers_;  // of each worker
};

}  // namespace quarrow
