// SPDX-License-Identifier: Apache-2.0
//
// The words for Arrow data that cannot be quantized.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

#include "quarrow/arrow/arrow_fault.h"

namespace quarrow::python {

// InvalidInputError. `name` of the layer, or None; `first_row` of the fault's batch among the rows
// that the caller knows.
[[noreturn]] void raise_arrow_fault(const ArrowFault& fault, nanobind::handle name,
                                    std::int64_t first_row);

}  // namespace quarrow::python
