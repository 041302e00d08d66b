// SPDX-License-Identifier: Apache-2.0
//
// The types of stored elements: those of tensors in files, and of the parts of quantized layers.
// Most are only passed through. The blocks of ggml, in which codes and scales of a stretch of a row
// lie together, are types like the others.
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
  // Of ggml alone.
  kQ40,
  kQ41,
  kQ50,
  kQ51,
  kQ80,
  kQ81,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K,
  kQ8K,
  kIQ2XXS,
  kIQ2XS,
  kIQ3XXS,
  kIQ1S,
  kIQ4NL,
  kIQ3S,
  kIQ2S,
  kIQ4XS,
  kIQ1M,
  kTQ10,
  kTQ20,
  kMXFP4,
  kNVFP4,
  kQ10,
};
inline constexpr std::uint32_t kElementTypes = static_cast<std::uint32_t>(ElementType::kQ10) + 1;

// The fewest elements that fill whole bytes, and those bytes: 1 in 4 for F32, 2 in 1 for F4, 256 in
// 144 for Q4_K.
struct ElementBlock {
  std::uint32_t elements;
  std::uint32_t bytes;
};
ElementBlock block_of(ElementType type) noexcept;

// Bytes at whose multiples elements should lie, a power of two; those that share bytes need none.
std::uint32_t alignment_of(ElementType type) noexcept;

// Whether it is a block of ggml, which holds the codes and scales of a stretch of a row; a row is
// whole blocks.
bool is_ggml_block(ElementType type) noexcept;

// safetensors' spelling, of what it lacks ggml's: "BF16", "F8_E4M3", "Q4_K".
std::string_view name_of(ElementType type) noexcept;

// The inverse of name_of; nothing for any other word.
std::optional<ElementType> element_type_from_name(std::string_view name) noexcept;

// Whether safetensors has the type.
bool is_in_safetensors(ElementType type) noexcept;

// ggml's number of the type; nothing when it has none.
std::optional<std::uint32_t> ggml_type(ElementType type) noexcept;
// The inverse of ggml_type; nothing for the numbers of types that never were, or are no more.
std::optional<ElementType> element_type_from_ggml(std::uint32_t number) noexcept;

// Whether it is a float type of at most 8 bits, of which there are many: nearly always codes of
// weights, with their scale beside them or without.
bool is_narrow_float(ElementType type) noexcept;

// The type as the engine reads it; nothing for the types that cannot be quantized.
std::optional<DType> float_dtype(ElementType type) noexcept;
// The inverse of float_dtype.
ElementType element_type(DType dtype) noexcept;

}  // namespace quarrow
