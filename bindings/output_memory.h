// SPDX-License-Identifier: Apache-2.0
//
// Memory of the core, as Python keeps it alive.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <memory>

#include "quarrow/core/output_memory.h"

namespace quarrow::python {

// A capsule that keeps memory of allocate_output() alive: the base of every array that lies in it.
// Needs the lock.
nanobind::object memory_capsule(std::shared_ptr<std::byte> memory);

// What such a capsule keeps alive.
const std::shared_ptr<std::byte>& memory_of(nanobind::handle capsule) noexcept;

}  // namespace quarrow::python
