// SPDX-License-Identifier: Apache-2.0
//
// The sizes that families of formats make of a matrix (FormatSpec::geometry).
#pragma once

#include <cstdint>

#include "quarrow/quantize/format.h"

namespace quarrow {

// Codes of Format::spec->bits bits, a scale for each group (columns, row or tensor), and zero
// points unless symmetric.
Geometry grouped_geometry(const Format& format, std::uint64_t rows, std::uint64_t cols);

}  // namespace quarrow
