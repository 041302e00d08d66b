// SPDX-License-Identifier: Apache-2.0
//
// Types that hold objects of a caller, which may hold them in turn.
#pragma once

#include <nanobind/nanobind.h>

namespace quarrow::python {

template <typename T>
int traverse(PyObject* self, visitproc visit, void* argument) noexcept {
  if (const int stop = visit(reinterpret_cast<PyObject*>(Py_TYPE(self)), argument)) return stop;
  return nanobind::inst_ready(self) ? nanobind::inst_ptr<T>(self)->traverse(visit, argument) : 0;
}

// For nb::type_slots; T::traverse visits what a T holds. As in a tuple, there is nothing to clear:
// what closes a circle (a frame, a dict, an attribute) can be cleared itself.
template <typename T>
inline const PyType_Slot kCollected[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(&traverse<T>)},
    {0, nullptr},
};

}  // namespace quarrow::python
