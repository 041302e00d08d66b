// SPDX-License-Identifier: Apache-2.0
//
// Attributes of bound classes that are read without a call of a function.
#pragma once

#include <nanobind/nanobind.h>

namespace quarrow::python {

// The value of an attribute of an instance, a new reference; null with an exception set.
using Getter = PyObject* (*)(PyObject* instance) noexcept;

// Puts a descriptor in the place of a property without a setter that nanobind made: it asks
// `getter` where the instance is one of that class itself, and leaves all else to the property.
void read_directly(nanobind::handle type, const char* name, Getter getter);

}  // namespace quarrow::python
