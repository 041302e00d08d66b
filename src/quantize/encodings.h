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

// A code for each element, and with `tensor_scale` one f32 scale for all.
Encoding elementwise_encoding(ElementType type, bool tensor_scale, std::uint64_t rows,
                              std::uint64_t cols);

// Codes of the type, and one scale for the tensor where the format is scaled.
template <ElementType kType>
Encoding float8_encoding(const Format& format, std::uint64_t rows, std::uint64_t cols) {
  return elementwise_encoding(kType, format.scaled, rows, cols);
}

// Whole blocks of the type, which hold codes and scales. Throws StatusError(kPartialBlock) too.
Encoding block_encoding(ElementType type, std::uint64_t rows, std::uint64_t cols);
template <ElementType kType>
Encoding block_encoding(const Format& /*format*/, std::uint64_t rows, std::uint64_t cols) {
  return block_encoding(kType, rows, cols);
}

}  // namespace quarrow
