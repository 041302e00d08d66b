// SPDX-License-Identifier: Apache-2.0
//
// What families of formats make of a matrix (FormatSpec::encoding).
#pragma once

#include <cstdint>

#include "quarrow/quantize/format.h"

namespace quarrow {

// Codes of Format::spec->bits bits, a scale for each group (columns, row or tensor), and zero
// points unless symmetric.
Encoding grouped_encoding(const Format& format, std::uint64_t rows, std::uint64_t cols);

}  // namespace quarrow
