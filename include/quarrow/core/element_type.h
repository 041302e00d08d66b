// SPDX-License-Identifier: Apache-2.0
//
// The types of stored elements: those of tensors in files, and of the parts of quantized layers.
// Most are only passed through.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "quarrow/core/dtype.h"

namespace quarrow {

enum class ElementType : std::uint8_t {
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

// The fewest elements that fill whole bytes, and those bytes: 1 in 4 for F32, 2 in 1 for F4.
struct ElementBlock {
  std::uint32_t elements;
  std::uint32_t bytes;
};
ElementBlock block_of(ElementType type) noexcept;

// Bytes at whose multiples elements should lie, a power of two; those that share bytes need none.
std::uint32_t alignment_of(ElementType type) noexcept;

// safetensors' spelling: "BF16", "F8_E4M3".
std::string_view name_of(ElementType type) noexcept;

// The inverse of name_of; nothing for any other word.
std::optional<ElementType> element_type_from_name(std::string_view name) noexcept;

// Whether it is a float type of at most 8 bits, of which there are many: nearly always codes of
// weights, with their scale beside them or without.
bool is_narrow_float(ElementType type) noexcept;

// The type as the engine reads it; nothing for the types that cannot be quantized.
std::optional<DType> float_dtype(ElementType type) noexcept;
// The inverse of float_dtype.
ElementType element_type(DType dtype) noexcept;

}  // namespace quarrow
