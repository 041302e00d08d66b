// SPDX-License-Identifier: Apache-2.0
#include "quarrow/core/dtype.h"

#include <array>
#include <utility>

namespace quarrow {
namespace {

constexpr std::array<std::pair<DType, std::string_view>, 4> kNames{{
    {DType::kF32, "float32"},
    {DType::kF16, "float16"},
    {DType::kBF16, "bfloat16"},
    {DType::kF64, "float64"},
}};

}  // namespace

std::string_view name_of(DType dtype) noexcept {
  for (const auto& [value, name] : kNames) {
    if (value == dtype) return name;
  }
  return {};
}

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace quarrow
