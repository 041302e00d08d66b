// SPDX-License-Identifier: Apache-2.0
//
// quantize_file: checkpoint to checkpoint.
#pragma once

#include <nanobind/nanobind.h>

namespace quarrow::python {

void bind_files(nanobind::module_& module);

}  // namespace quarrow::python
