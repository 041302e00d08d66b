// SPDX-License-Identifier: Apache-2.0
//
// Numbers in lists, read without a step of the interpreter's.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <span>

namespace quarrow::python {

// Writes the numbers of lists and tuples, nested as `shape` says, front to back to `to`, which has
// room for all. False where one is not as long as its level says, where there is something else
// (a bool, an object of a subclass), or an int that no double holds: what then lies in `to` means
// nothing, and no exception is set. Runs nobody's code. Needs the lock.
bool read_numbers(nanobind::handle list, std::span<const std::size_t> shape, double* to);

}  // namespace quarrow::python
