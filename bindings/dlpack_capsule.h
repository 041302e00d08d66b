// SPDX-License-Identifier: Apache-2.0
//
// DLPack capsules: asking for one, and what it says of its tensor, before nanobind takes it.
#pragma once

#include <nanobind/nanobind.h>

namespace quarrow::python {

// What __dlpack__ returns; nothing when there is none, or when it refuses.
nanobind::object exported_capsule(nanobind::handle tensor);

// Raises InvalidInputError, with the layer's `name` in front, where the capsule is of another major
// version than 1, whose tensors may lie elsewhere, or its shape cannot be one. Capsules that hold
// no DLPack tensor, or no longer, are not looked at.
void check_dlpack_capsule(nanobind::handle capsule, nanobind::handle name);

}  // namespace quarrow::python
