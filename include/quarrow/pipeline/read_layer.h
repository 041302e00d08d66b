// SPDX-License-Identifier: Apache-2.0
//
// Tensors of a file, in memory.
#pragma once

#include <cstdint>
#include <span>

#include "quarrow/core/executor.h"
#include "quarrow/core/target.h"
#include "quarrow/layouts/stored_layer.h"
#include "quarrow/quantize/execute.h"

namespace quarrow {

// Fills `output`, of the sizes of `layer` (plan_stored_layers()), with codes as the engine makes
// them: signed when symmetric, rows without padding. Throws CheckpointFault and filesystem_error.
void read_layer(const Checkpoint& file, const StoredLayer& stored, const LayerPlan& layer,
                Target target, const QuantizedSpan& output);

// The plan of a tensor with such codes.
LayerPlan as_in_memory(const LayerPlan& layer);

// A tensor of a file with values: of a float dtype, or a layer with its plan.
struct ValuesInFile {
  const Checkpoint* file = nullptr;
  const TensorEntry* tensor = nullptr;
  const StoredLayer* layer = nullptr;  // null: the tensor is plain
  const LayerPlan* plan = nullptr;

  std::span<const std::uint64_t> shape() const noexcept {
    return layer != nullptr ? layer->shape : tensor->shape;
  }
};

// Values of whole rows as f32. Throws CheckpointFault and filesystem_error.
void read_rows(const ValuesInFile& source, Target target, std::uint64_t first, std::uint64_t rows,
               float* values);

// The error of `other`, of the same shape, some rows at a time. NaN beside NaN and Inf beside the
// same Inf count for nothing; beside anything else they are infinitely far. False when poll stopped
// it. Throws as read_rows().
bool compare_values(const ValuesInFile& original, const ValuesInFile& other, Target target,
                    Poll& poll, ErrorSums& sums);

// Whether two entries hold the same bytes, some at a time. False also when poll stopped it.
bool same_bytes(const Checkpoint& file, const TensorEntry& tensor, const Checkpoint& other_file,
                const TensorEntry& other, Poll& poll);

}  // namespace quarrow
