// SPDX-License-Identifier: Apache-2.0
//
// Objects of Python that are made where they stay.
#pragma once

#include <nanobind/nanobind.h>

#include <new>
#include <utility>

namespace quarrow::python {

// An instance of `type`, that of T. nb::cast would look it up, and whether the value is one
// already, and move the value there.
template <typename T, typename... Arguments>
nanobind::object new_instance(nanobind::handle type, Arguments&&... arguments) {
  nanobind::object instance = nanobind::inst_alloc(type);
  new (nanobind::inst_ptr<T>(instance)) T(std::forward<Arguments>(arguments)...);
  nanobind::inst_mark_ready(instance);
  return instance;
}

}  // namespace quarrow::python
