// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/element_type.h"

#include <array>

namespace quarrow {
namespace {

struct Line {
  ElementType type;
  std::string_view name;
  ElementBlock block;
  std::optional<DType> dtype = {};  // as the engine reads it
  bool narrow_float = false;
};

using enum ElementType;

constexpr std::array kLines = {
    Line{kBool, "BOOL", {1, 1}},
    Line{kU8, "U8", {1, 1}},
    Line{kI8, "I8", {1, 1}},
    Line{kI16, "I16", {1, 2}},
    Line{kU16, "U16", {1, 2}},
    Line{kF16, "F16", {1, 2}, DType::kF16},
    Line{kBF16, "BF16", {1, 2}, DType::kBF16},
    Line{kI32, "I32", {1, 4}},
    Line{kU32, "U32", {1, 4}},
    Line{kF32, "F32", {1, 4}, DType::kF32},
    Line{kF64, "F64", {1, 8}, DType::kF64},
    Line{kI64, "I64", {1, 8}},
    Line{kU64, "U64", {1, 8}},
    Line{kC64, "C64", {1, 8}},
    Line{.type = kF8E4M3, .name = "F8_E4M3", .block = {1, 1}, .narrow_float = true},
    Line{.type = kF8E5M2, .name = "F8_E5M2", .block = {1, 1}, .narrow_float = true},
    Line{.type = kF8E8M0, .name = "F8_E8M0", .block = {1, 1}, .narrow_float = true},
    Line{.type = kF8E4M3FNUZ, .name = "F8_E4M3FNUZ", .block = {1, 1}, .narrow_float = true},
    Line{.type = kF8E5M2FNUZ, .name = "F8_E5M2FNUZ", .block = {1, 1}, .narrow_float = true},
    Line{.type = kF6E2M3, .name = "F6_E2M3", .block = {4, 3}, .narrow_float = true},
    Line{.type = kF6E3M2, .name = "F6_E3M2", .block = {4, 3}, .narrow_float = true},
    Line{.type = kF4, .name = "F4", .block = {2, 1}, .narrow_float = true},
};

constexpr bool indexed_by_value() {
  for (std::size_t index = 0; index < kLines.size(); ++index) {
    if (static_cast<std::size_t>(kLines[index].type) != index) return false;
  }
  return true;
}
static_assert(indexed_by_value());

const Line& line_of(ElementType type) noexcept { return kLines[static_cast<std::size_t>(type)]; }

}  // namespace

ElementBlock block_of(ElementType type) noexcept { return line_of(type).block; }

std::uint32_t alignment_of(ElementType type) noexcept {
  const ElementBlock block = block_of(type);
  return block.elements == 1 ? block.bytes : 1;
}

std::string_view name_of(ElementType type) noexcept { return line_of(type).name; }

std::optional<ElementType> element_type_from_name(std::string_view name) noexcept {
  for (const Line& line : kLines) {
    if (line.name == name) return line.type;
  }
  return std::nullopt;
}

bool is_narrow_float(ElementType type) noexcept { return line_of(type).narrow_float; }

std::optional<DType> float_dtype(ElementType type) noexcept { return line_of(type).dtype; }

ElementType element_type(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF16:
      return kF16;
    case DType::kBF16:
      return kBF16;
    case DType::kF64:
      return kF64;
    case DType::kF32:
      break;
  }
  return kF32;
}

}  // namespace quarrow
