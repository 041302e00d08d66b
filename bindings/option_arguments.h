// SPDX-License-Identifier: Apache-2.0
//
// The options that every way in shares. Each raises InvalidInputError for a value that it does not
// take.
#pragma once

#include <nanobind/nanobind.h>

#include "layer_batch.h"
#include "quarrow/quantize/execute.h"

namespace quarrow::python {

bool copy_argument(nanobind::handle value);                   // True or False
NonFinitePolicy non_finite_argument(nanobind::handle value);  // "raise" or "saturate"
ErrorPolicy error_policy_argument(nanobind::handle value);    // "raise" or "skip"
nanobind::handle progress_argument(nanobind::handle value);   // a callable or None

// Whether it is a collections.abc.Mapping, for what takes other objects too.
bool is_mapping(nanobind::handle value);

}  // namespace quarrow::python
