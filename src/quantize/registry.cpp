// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "kernels/affine.h"
#include "kernels/fp8.h"
#include "kernels/ggml_blocks.h"
#include "kernels/int8_rowwise.h"
#include "quantize/encodings.h"
#include "quarrow/core/status.h"
#include "quarrow/quantize/format_fields.h"

namespace quarrow {
namespace {

constexpr std::uint8_t kIntegerFields = FormatField::kGroupSize | FormatField::kSymmetric |
                                        FormatField::kScaleDType | FormatField::kRounding |
                                        FormatField::kPacked;
constexpr auto kFloatFields = static_cast<std::uint8_t>(FormatField::kScaled);

constexpr Format kRowwise8{.group_size = GroupSize::row(), .packed = false};
constexpr Format kGroups128{.group_size = GroupSize::of(128)};
constexpr Format kComfyInt8{.group_size = GroupSize::row(), .symmetric = true, .packed = false};

constexpr auto kRegistry = std::to_array<FormatSpec>({
    {"int8", "8-bit affine codes, a scale and zero point per row", 8, kIntegerFields, 0, kRowwise8,
     grouped_encoding, affine_kernels},
    {"int4", "4-bit affine codes, a scale and zero point per group of 128", 4, kIntegerFields, 0,
     kGroups128, grouped_encoding, affine_kernels},
    {"int2", "2-bit affine codes, a scale and zero point per group of 128", 2, kIntegerFields, 0,
     kGroups128, grouped_encoding, affine_kernels},
    {"int8_rowwise", "ComfyUI's int8: signed codes, a scale per row", 8, 0, kIntegerFields,
     kComfyInt8, grouped_encoding, int8_rowwise_kernels},
    {"fp8_e4m3",
     "8-bit floats (E4M3), a scale per tensor or a plain cast",
     8,
     kFloatFields,
     0,
     {},
     float8_encoding<ElementType::kF8E4M3>,
     fp8_e4m3_kernels},
    {"fp8_e5m2",
     "8-bit floats (E5M2), a scale per tensor or a plain cast",
     8,
     kFloatFields,
     0,
     {},
     float8_encoding<ElementType::kF8E5M2>,
     fp8_e5m2_kernels},
    {"q8_0",
     "GGUF's blocks of 32: 8-bit codes, a scale",
     8,
     0,
     0,
     {},
     block_encoding<ElementType::kQ80>,
     q8_0_kernels},
    {"q5_1",
     "GGUF's blocks of 32: 5-bit codes, a scale and a least value",
     5,
     0,
     0,
     {},
     block_encoding<ElementType::kQ51>,
     q5_1_kernels},
    {"q5_0",
     "GGUF's blocks of 32: 5-bit codes, a scale",
     5,
     0,
     0,
     {},
     block_encoding<ElementType::kQ50>,
     q5_0_kernels},
    {"q4_1",
     "GGUF's blocks of 32: 4-bit codes, a scale and a least value",
     4,
     0,
     0,
     {},
     block_encoding<ElementType::kQ41>,
     q4_1_kernels},
    {"q4_0",
     "GGUF's blocks of 32: 4-bit codes, a scale",
     4,
     0,
     0,
     {},
     block_encoding<ElementType::kQ40>,
     q4_0_kernels},
});

// Whether the fields that the format does not let anybody set have its own values.
bool keeps_own(const Format& format) noexcept {
  return std::ranges::all_of(format_fields(), [&](const FieldSpec& field) {
    return has_field(*format.spec, field.field) ||
           field.get(format) == field.get(format.spec->defaults);
  });
}

bool is_sound(const Format& format) noexcept {
  const GroupSize& size = format.group_size;
  const bool known = format.spec != nullptr && size.kind <= GroupSize::Kind::kTensor &&
                     is_written(format.scale_dtype) && format.rounding <= Rounding::kStochastic;
  if (!known || (size.kind == GroupSize::Kind::kColumns && size.columns == 0)) return false;
  return keeps_own(format);
}

}  // namespace

std::span<const FormatSpec> registry() noexcept { return kRegistry; }

const FormatSpec* find_format(std::string_view name) noexcept {
  const auto found = std::ranges::find(kRegistry, name, &FormatSpec::name);
  return found == kRegistry.end() ? nullptr : &*found;
}

Format default_format(const FormatSpec& spec) noexcept {
  Format format = spec.defaults;
  format.spec = &spec;
  return format;
}

void check_format(const Format& format) {
  if (!is_sound(format)) throw StatusError({.code = StatusCode::kBadFormat});
}

}  // namespace quarrow
