// SPDX-License-Identifier: Apache-2.0
#include "option_arguments.h"

#include <string>

#include "errors.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

bool is_text(nb::handle value, const char* text) {
  return PyUnicode_Check(value.ptr()) && PyUnicode_CompareWithASCIIString(value.ptr(), text) == 0;
}

}  // namespace

bool copy_argument(nb::handle value) {
  if (!PyBool_Check(value.ptr())) {
    raise_invalid_input("copy must be True or False, not " + short_repr(value));
  }
  return value.is(nb::handle(Py_True));
}

NonFinitePolicy non_finite_argument(nb::handle value) {
  if (is_text(value, "raise")) {
    return NonFinitePolicy::kRaise;
  }
  if (is_text(value, "saturate")) {
    return NonFinitePolicy::kSaturate;
  }
  raise_invalid_input("nonfinite must be 'raise' or 'saturate', not " + short_repr(value));
}

ErrorPolicy error_policy_argument(nb::handle value) {
  if (is_text(value, "raise")) {
    return ErrorPolicy::kRaise;
  }
  if (is_text(value, "skip")) {
    return ErrorPolicy::kSkip;
  }
  raise_invalid_input("on_error must be 'raise' or 'skip', not " + short_repr(value));
}

nb::handle progress_argument(nb::handle value) {
  if (!value.is_none() && PyCallable_Check(value.ptr()) == 0) {
    raise_invalid_input("progress must be callable or None, not " + short_repr(value));
  }
  return value;
}

bool is_mapping(nb::handle value) {
  return nb::isinstance(value, nb::module_::import_("collections.abc").attr("Mapping"));
}

}  // namespace quarrow::python
