// SPDX-License-Identifier: Apache-2.0
//
// numpy arrays whose dtype and shape are laid down: outputs that the caller brings, and the parts
// of a stored tensor.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "numpy_arrays.h"

namespace quarrow::python {

struct ArraySpec {
  std::string_view role;  // for messages: "codes"
  ElementType type = ElementType::kU8;
  std::vector<std::int64_t> shape;

  std::uint64_t bytes() const noexcept;
};

// The memory of a numpy array; valid while the array lives.
struct ArrayMemory {
  void* data = nullptr;
  bool writable = false;
};

// Checks a numpy array against `spec`: aligned, C-contiguous, dtype and shape exactly as said
// (BF16 and floats of 8 bits: of ml_dtypes, or unsigned integers of that width). Raises
// InvalidInputError with the layer's `name` in front.
ArrayMemory array_argument(nanobind::handle array, const ArraySpec& spec, nanobind::handle name);

// The same, and it must be writable.
void* output_argument(nanobind::handle array, const ArraySpec& spec, nanobind::handle name);

}  // namespace quarrow::python
