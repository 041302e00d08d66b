// SPDX-License-Identifier: Apache-2.0
//
// The containers of new files, and whose rules hold for them, as a call of Python names them.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <string_view>
#include <vector>

#include "quarrow/containers/container.h"
#include "quarrow/layouts/layout.h"
#include "quarrow/quantize/format.h"

namespace quarrow::python {

// "safetensors", "gguf". Raises InvalidInputError for another name.
Container container_argument(std::string_view name);

// "comfyui", "none"; nothing for None. Raises InvalidInputError for anything else.
std::optional<Runtime> runtime_argument(nanobind::handle runtime);

// Raises UnsupportedFormatError for a format that files of the container cannot carry.
void check_formats(const std::vector<Format>& formats, Container container);

// container_of() and container_names().
void bind_containers(nanobind::module_& m);

}  // namespace quarrow::python
