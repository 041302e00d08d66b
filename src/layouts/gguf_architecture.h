// SPDX-License-Identifier: Apache-2.0
//
// What loaders of GGUF call a diffusion model: the value of general.architecture.
#pragma once

#include <string_view>

#include "quarrow/containers/tensor_table.h"

namespace quarrow {

// By the names of its tensors, which are the model's original ones. Empty for any other file.
std::string_view gguf_architecture(const TensorTable& file);

}  // namespace quarrow
