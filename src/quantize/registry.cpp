// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

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

constexpr std::array<FormatSpec, 4> kRegistry{{
    {"int8", "8-bit affine codes, a scale and zero point per row", 8, kPackedAffineFields,
     kRowwise8, grouped_geometry, affine_kernels},
    {"int4", "4-bit affine codes, a scale and zero point per group of 128", 4, kPackedAffineFields,
     kGroups128, grouped_geometry, affine_kernels},
    {"int2", "2-bit affine codes, a scale and zero point per group of 128", 2, kPackedAffineFields,
     kGroups128, grouped_geometry, affine_kernels},
    {"int8_rowwise", "ComfyUI's int8: signed codes, a scale per row", 8, 0, kComfyInt8,
     grouped_geometry, int8_rowwise_kernels},
}};

// Levenshtein's distance, one row of the table at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::span<const FormatSpec> registry() noexcept { return kRegistry; }

const FormatSpec* find_format(std::string_view name) noexcept {
  const auto found = std::ranges::find(kRegistry, name, &FormatSpec::name);
  return found == kRegistry.end() ? nullptr : &*found;
}

std::string_view nearest_format_name(std::string_view name) {
  // A name that nobody typed by hand is not worth a table of its size.
  const std::string_view typed = name.substr(0, 64);
  return std::ranges::min(
             kRegistry, {},
             [typed](const FormatSpec& spec) { return edit_distance(typed, spec.name); })
      .name;
}

Format default_format(const FormatSpec& spec) noexcept {
  Format format = spec.defaults;
  format.spec = &spec;
  return format;
}

}  // namespace quarrow
