// SPDX-License-Identifier: Apache-2.0
//
// The element types that a file can hold: all of safetensors', most of which are only passed
// through.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "quarrow/core/dtype.h"

namespace quarrow {

enum class StoredDType : std::uint8_t {
  kBool,
  kU8,
  kI8,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kF64,
  kI64,
  kU64,
  kC64,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF8E4M3FNUZ,
  kF8E5M2FNUZ,
  kF6E2M3,
  kF6E3M2,
  kF4,
};

// Bits of one element: 4, 6, or 8 to 64.
unsigned bits_of(StoredDType dtype) noexcept;

// safetensors' spelling: "BF16", "F8_E4M3".
std::string_view name_of(StoredDType dtype) noexcept;

// The inverse of name_of; nothing for any other word.
std::optional<StoredDType> stored_dtype_from_name(std::string_view name) noexcept;

// Whether it is a float type of at most 8 bits, of which there are many: nearly always codes of
// weights, with their scale beside them or without.
bool is_narrow_float(StoredDType dtype) noexcept;

// The type as the engine reads it; nothing for the types that cannot be quantized.
std::optional<DType> float_dtype(StoredDType dtype) noexcept;
// The inverse of float_dtype.
StoredDType stored_dtype(DType dtype) noexcept;

}  // namespace quarrow
