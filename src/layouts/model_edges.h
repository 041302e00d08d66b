// SPDX-License-Identifier: Apache-2.0
//
// The layers at the edges of a model, by name: a few in a hundred of its weights, which every
// converter leaves in floats.
#pragma once

#include <string_view>

namespace quarrow {

bool is_model_edge(std::string_view weight_name) noexcept;

}  // namespace quarrow
