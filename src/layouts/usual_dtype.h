// SPDX-License-Identifier: Apache-2.0
//
// What a layer was whose file does not say it.
#pragma once

#include <optional>
#include <string_view>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/layouts/stored_layer.h"

namespace quarrow {

class UsualDType {
 public:
  explicit UsualDType(const Checkpoint& file) : file_(file) {}

  // The dtype of the layer's bias, else of most values of the file that were left in floats, else
  // what ComfyUI computes in by default.
  ElementType of(std::string_view layer);

 private:
  const Checkpoint& file_;
  std::optional<ElementType> of_file_;  // once it was asked for
};

// Adds a layer of the format that is its codes alone, in an entry of its name and shape. What
// cannot have values stays what it is.
void add_codes_alone(const TensorEntry& codes, const Format& format, const Storage& storage,
                     UsualDType& usual, StoredLayers& layers);

}  // namespace quarrow
