// SPDX-License-Identifier: Apache-2.0
//
// Tensors of a file, in memory.
#pragma once

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

// Values of whole rows as f32. Throws CheckpointFault and filesystem_error.
void read_layer_rows(const Checkpoint& file, const StoredLayer& stored, const LayerPlan& layer,
                     Target target, std::uint64_t first, std::uint64_t rows, float* values);

// The same for `count` values of a float tensor.
void read_values(const Checkpoint& file, const TensorEntry& tensor, Target target,
                 std::uint64_t first, std::uint64_t count, float* values);

}  // namespace quarrow
