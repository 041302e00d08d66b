// SPDX-License-Identifier: Apache-2.0
//
// The element types that the engine reads and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace quarrow {

enum class DType : std::uint8_t { kF32, kF16, kBF16, kF64 };

// Bytes of one element; 0 for a value that is none.
constexpr std::size_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kF32:
      return 4;
    case DType::kF64:
      return 8;
  }
  return 0;
}

// Of scales and of values that are written: f32, f16 or bf16.
constexpr bool is_written(DType dtype) noexcept {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

// "float32", "float16", "bfloat16", "float64": numpy's and torch's spelling.
std::string_view name_of(DType dtype) noexcept;

// The inverse of name_of; nothing for any other word.
std::optional<DType> dtype_from_name(std::string_view name) noexcept;

}  // namespace quarrow
