// SPDX-License-Identifier: Apache-2.0
//
// The element types of files, as DLPack numbers them.
#pragma once

#include <nanobind/ndarray.h>

#include <optional>

#include "quarrow/core/element_type.h"

namespace quarrow::python {

// Nothing for types that no file can hold, and those below a byte.
std::optional<ElementType> element_type_of(nanobind::dlpack::dtype dtype) noexcept;

// The inverse. Of elements of whole bytes.
nanobind::dlpack::dtype dlpack_dtype(ElementType dtype) noexcept;

}  // namespace quarrow::python
