// SPDX-License-Identifier: Apache-2.0
#include "list_numbers.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

// Of a list or tuple; nothing when another thread has made it shorter.
nb::object item_at(nb::handle list, bool is_list, Py_ssize_t index) {
  if (!is_list) return nb::borrow(PyTuple_GetItem(list.ptr(), index));
#ifdef Py_GIL_DISABLED
  return nb::steal(PyList_GetItemRef(list.ptr(), index));
#else
  return nb::borrow(PyList_GetItem(list.ptr(), index));
#endif
}

bool read_number(nb::handle item, double& to) {
  if (PyFloat_CheckExact(item.ptr())) {
    to = PyFloat_AsDouble(item.ptr());
    return true;
  }
  // A bool is an int of another type.
  if (!PyLong_CheckExact(item.ptr())) return false;
  to = PyLong_AsDouble(item.ptr());
  return to != -1.0 || PyErr_Occurred() == nullptr;
}

bool read_level(nb::handle list, std::span<const std::size_t> shape, double*& to) {
  const bool is_list = PyList_CheckExact(list.ptr());
  if (!is_list && !PyTuple_CheckExact(list.ptr())) return false;
  const auto size = static_cast<Py_ssize_t>(shape[0]);
  if ((is_list ? PyList_Size(list.ptr()) : PyTuple_Size(list.ptr())) != size) return false;
  for (Py_ssize_t index = 0; index < size; ++index) {
    const nb::object item = item_at(list, is_list, index);
    if (!item.is_valid()) return false;
    const bool read =
        shape.size() > 1 ? read_level(item, shape.subspan(1), to) : read_number(item, *to++);
    if (!read) return false;
  }
  return true;
}

}  // namespace

bool read_numbers(nb::handle list, std::span<const std::size_t> shape, double* to) {
  if (read_level(list, shape, to)) return true;
  PyErr_Clear();
  return false;
}

}  // namespace quarrow::python
