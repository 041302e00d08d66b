// SPDX-License-Identifier: Apache-2.0
//
// What a job in memory made, as Python holds it.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <memory>

#include "memory_tensors.h"
#include "quarrow/pipeline/file_plan.h"

namespace quarrow::python {

// Adds the entries of the new file to a dict, in the order of the source's tensors: what is copied
// as the caller's own object, what was made as arrays, or tensors of torch, over `memory`.
void add_entries(const FilePlan& plan, const MemoryTensors& source,
                 std::shared_ptr<std::byte> memory, bool as_torch, nanobind::dict& entries);

}  // namespace quarrow::python
