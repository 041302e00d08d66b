// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "kernels/affine.h"
#include "kernels/int8_rowwise.h"
#include "quantize/geometry.h"
#include "quarrow/quantize/format.h"

namespace quarrow {
namespace {

constexpr std::uint8_t kAffineFields = FormatField::kGroupSize | FormatField::kSymmetric |
                                       FormatField::kScaleDType | FormatField::kRounding;
constexpr std::uint8_t kPackedAffineFields = kAffineFields | FormatField::kPacked;

constexpr Format kRowwise8{.group_size = GroupSize::row(), .packed = false};
constexpr Format kGroups128{.group_size = GroupSize::of(128)};
constexpr Format kComfyInt8{.group_size = GroupSize::row(), .symmetric = true, .packed = false};

constexpr auto kRegistry = std::to_array<FormatSpec>({
    {"int8", "8-bit affine codes, a scale and zero point per row", 8, kPackedAffineFields,
     kRowwise8, grouped_geometry, affine_kernels},
    {"int4", "4-bit affine codes, a scale and zero point per group of 128", 4, kPackedAffineFields,
     kGroups128, grouped_geometry, affine_kernels},
    {"int2", "2-bit affine codes, a scale and zero point per group of 128", 2, kPackedAffineFields,
     kGroups128, grouped_geometry, affine_kernels},
    {"int8_rowwise", "ComfyUI's int8: signed codes, a scale per row", 8, 0, kComfyInt8,
     grouped_geometry, int8_rowwise_kernels},
});

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

}  // namespace quarrow
