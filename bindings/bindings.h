// SPDX-License-Identifier: Apache-2.0
//
// The topics of quarrow._core, each bound in bind_<topic>.cpp.
#pragma once

#include <nanobind/nanobind.h>

namespace quarrow::python {

void bind_format(nanobind::module_& module);
void bind_quantized_tensor(nanobind::module_& module);
void bind_dequantize(nanobind::module_& module);
void bind_quantize(nanobind::module_& module);
void bind_batch(nanobind::module_& module);
void bind_arrow(nanobind::module_& module);
void bind_info(nanobind::module_& module);
void bind_metrics(nanobind::module_& module);
void bind_checkpoint(nanobind::module_& module);
void bind_files(nanobind::module_& module);
void bind_lists(nanobind::module_& module);

}  // namespace quarrow::python
