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
  std::optional<std::uint32_t> ggml = {};
  bool narrow_float = false;
  bool ggml_block = false;
};

using enum ElementType;

constexpr Line ggml_block(ElementType type, std::string_view name, ElementBlock block,
                          std::uint32_t number) {
  return {.type = type, .name = name, .block = block, .ggml = number, .ggml_block = true};
}

constexpr std::array kLines = {
    Line{kBool, "BOOL", {1, 1}},
    Line{kU8, "U8", {1, 1}},
    Line{kI8, "I8", {1, 1}, {}, 24},
    Line{kI16, "I16", {1, 2}, {}, 25},
    Line{kU16, "U16", {1, 2}},
    Line{kF16, "F16", {1, 2}, DType::kF16, 1},
    Line{kBF16, "BF16", {1, 2}, DType::kBF16, 30},
    Line{kI32, "I32", {1, 4}, {}, 26},
    Line{kU32, "U32", {1, 4}},
    Line{kF32, "F32", {1, 4}, DType::kF32, 0},
    Line{kF64, "F64", {1, 8}, DType::kF64, 28},
    Line{kI64, "I64", {1, 8}, {}, 27},
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
    ggml_block(kQ40, "Q4_0", {32, 18}, 2),
    ggml_block(kQ41, "Q4_1", {32, 20}, 3),
    ggml_block(kQ50, "Q5_0", {32, 22}, 6),
    ggml_block(kQ51, "Q5_1", {32, 24}, 7),
    ggml_block(kQ80, "Q8_0", {32, 34}, 8),
    ggml_block(kQ81, "Q8_1", {32, 40}, 9),
    ggml_block(kQ2K, "Q2_K", {256, 84}, 10),
    ggml_block(kQ3K, "Q3_K", {256, 110}, 11),
    ggml_block(kQ4K, "Q4_K", {256, 144}, 12),
    ggml_block(kQ5K, "Q5_K", {256, 176}, 13),
    ggml_block(kQ6K, "Q6_K", {256, 210}, 14),
    ggml_block(kQ8K, "Q8_K", {256, 292}, 15),
    ggml_block(kIQ2XXS, "IQ2_XXS", {256, 66}, 16),
    ggml_block(kIQ2XS, "IQ2_XS", {256, 74}, 17),
    ggml_block(kIQ3XXS, "IQ3_XXS", {256, 98}, 18),
    ggml_block(kIQ1S, "IQ1_S", {256, 50}, 19),
    ggml_block(kIQ4NL, "IQ4_NL", {32, 18}, 20),
    ggml_block(kIQ3S, "IQ3_S", {256, 110}, 21),
    ggml_block(kIQ2S, "IQ2_S", {256, 82}, 22),
    ggml_block(kIQ4XS, "IQ4_XS", {256, 136}, 23),
    ggml_block(kIQ1M, "IQ1_M", {256, 56}, 29),
    ggml_block(kTQ10, "TQ1_0", {256, 54}, 34),
    ggml_block(kTQ20, "TQ2_0", {256, 66}, 35),
    ggml_block(kMXFP4, "MXFP4", {32, 17}, 39),
    ggml_block(kNVFP4, "NVFP4", {64, 36}, 40),
    ggml_block(kQ10, "Q1_0", {128, 18}, 41),
};

constexpr bool indexed_by_value() {
  for (std::size_t index = 0; index < kLines.size(); ++index) {
    if (static_cast<std::size_t>(kLines[index].type) != index) return false;
  }
  return true;
}
static_assert(kLines.size() == kElementTypes && indexed_by_value());

const Line& line_of(ElementType type) noexcept { return kLines[static_cast<std::size_t>(type)]; }

}  // namespace

ElementBlock block_of(ElementType type) noexcept { return line_of(type).block; }

std::uint32_t alignment_of(ElementType type) noexcept {
  const ElementBlock block = block_of(type);
  return block.elements == 1 ? block.bytes : 1;
}

bool is_ggml_block(ElementType type) noexcept { return line_of(type).ggml_block; }

std::string_view name_of(ElementType type) noexcept { return line_of(type).name; }

std::optional<ElementType> element_type_from_name(std::string_view name) noexcept {
  for (const Line& line : kLines) {
    if (line.name == name) return line.type;
  }
  return std::nullopt;
}

bool is_in_safetensors(ElementType type) noexcept { return !is_ggml_block(type); }

std::optional<std::uint32_t> ggml_type(ElementType type) noexcept { return line_of(type).ggml; }

std::optional<ElementType> element_type_from_ggml(std::uint32_t number) noexcept {
  for (const Line& line : kLines) {
    if (line.ggml == number) return line.type;
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
