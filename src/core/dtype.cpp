// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/dtype.h"

#include <array>
#include <cstddef>

namespace quarrow {
namespace {

// By the values of the enumeration.
constexpr std::array<std::string_view, 4> kNames{"float32", "float16", "bfloat16", "float64"};
static_assert(static_cast<std::size_t>(DType::kF64) + 1 == kNames.size());

}  // namespace

std::string_view name_of(DType dtype) noexcept { return kNames[static_cast<std::size_t>(dtype)]; }

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (std::size_t value = 0; value < kNames.size(); ++value) {
    if (kNames[value] == name) return static_cast<DType>(value);
  }
  return std::nullopt;
}

}  // namespace quarrow
