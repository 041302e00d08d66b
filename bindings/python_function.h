// SPDX-License-Identifier: Apache-2.0
//
// nanobind's functions as Python knows its own: with a signature, a docstring, pickled by name, and
// Python's words for arguments that do not fit. A call costs one more jump, and runs no Python
// code.
#pragma once

#include <nanobind/nanobind.h>

namespace quarrow::python {

// Puts such a function into the place of each function of the module, and of each public method and
// constructor of its classes.
void make_python_functions(const nanobind::module_& module);

// Raises the TypeError for arguments that the constructor of a class does not take.
[[noreturn]] void raise_wrong_construction(nanobind::handle type, const nanobind::args& arguments,
                                           const nanobind::kwargs& keywords);

// Lets a class say so in Python's words: its constructor is called by nanobind itself, whose last
// resort this becomes. To be called after the constructor has been defined.
template <typename Class>
void refuse_other_arguments(Class& bound) {
  using Type = typename Class::Type;
  bound.def(
      "__init__",
      [](Type*, const nanobind::args& arguments, const nanobind::kwargs& keywords) {
        raise_wrong_construction(nanobind::type<Type>(), arguments, keywords);
      },
      nanobind::sig("def __init__(self, *args, **kwargs) -> None"));
}

}  // namespace quarrow::python
