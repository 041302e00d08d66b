// SPDX-License-Identifier: Apache-2.0
//
// What a file is to ComfyUI, and which of its weights ComfyUI loads quantized.
//
// ComfyUI (0.27 and newer, as read in 0.33) takes int8 codes for a quantized weight only where it
// builds a model with mixed_precision_ops (comfy/ops.py): diffusion models in their original names
// and large text encoders, when an entry under the model's prefix ends in .comfy_quant. Every other
// loader casts the codes to floats, and says nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "quarrow/containers/tensor_table.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {

// Borrows names from the table that it was made of, or from static memory.
class ComfyModel {
 public:
  explicit ComfyModel(const TensorTable& file);

  // Whether the names are those of a model that ComfyUI loads, or of one that it misreads. Nothing
  // is held back of other files.
  bool known() const noexcept { return known_; }

  // Why ComfyUI would take the codes of this weight for the weight; kNone where it does not.
  StayReason misread_reason(std::string_view name) const noexcept;

 private:
  struct Part {
    std::string_view prefix;
    StayReason reason;  // kNone: ComfyUI loads it quantized
  };

  void add_parts(const TensorTable& file, std::string_view prefix);
  void find_kind(const TensorTable& file);

  // The longest prefix of a name counts; names without one take `rest_`.
  std::vector<Part> parts_;
  StayReason rest_ = StayReason::kNone;
  bool known_ = false;
};

}  // namespace quarrow
