// SPDX-License-Identifier: Apache-2.0
//
// The arrays of a quantized tensor, as a caller brings them.
#pragma once

#include <nanobind/nanobind.h>

#include "quarrow/core/role.h"
#include "quarrow/quantize/encoding.h"

namespace quarrow::python {

// Whose arrays they are; null where none was given.
struct GivenParts {
  PerRole<nanobind::object> arrays;

  PerRole<nanobind::handle> handles() const noexcept;
};

// A mapping of names to arrays. Raises InvalidInputError.
GivenParts parts_argument(nanobind::handle mapping);

// The same, or a tuple of the parts that the encoding has, in its order; or one of (codes, scales,
// zero points), where those that it lacks are None. Raises InvalidInputError for anything else, in
// the words of `wanted`: "out must be ...".
GivenParts parts_argument(nanobind::handle given, const Encoding& encoding, const char* wanted,
                          nanobind::handle name);

}  // namespace quarrow::python
