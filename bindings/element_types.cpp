// SPDX-License-Identifier: Apache-2.0
#include "element_types.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr std::array kCodes = {
    std::pair{StoredDType::kF16, nb::dlpack::dtype_code::Float},
    std::pair{StoredDType::kBF16, nb::dlpack::dtype_code::Bfloat},
    std::pair{StoredDType::kF32, nb::dlpack::dtype_code::Float},
    std::pair{StoredDType::kI8, nb::dlpack::dtype_code::Int},
    std::pair{StoredDType::kU8, nb::dlpack::dtype_code::UInt},
    std::pair{StoredDType::kI32, nb::dlpack::dtype_code::Int},
    std::pair{StoredDType::kI64, nb::dlpack::dtype_code::Int},
    std::pair{StoredDType::kF64, nb::dlpack::dtype_code::Float},
    std::pair{StoredDType::kI16, nb::dlpack::dtype_code::Int},
    std::pair{StoredDType::kU16, nb::dlpack::dtype_code::UInt},
    std::pair{StoredDType::kU32, nb::dlpack::dtype_code::UInt},
    std::pair{StoredDType::kU64, nb::dlpack::dtype_code::UInt},
    std::pair{StoredDType::kBool, nb::dlpack::dtype_code::Bool},
    std::pair{StoredDType::kC64, nb::dlpack::dtype_code::Complex},
    std::pair{StoredDType::kF8E4M3, nb::dlpack::dtype_code::Float8_E4M3FN},
    std::pair{StoredDType::kF8E4M3FNUZ, nb::dlpack::dtype_code::Float8_E4M3FNUZ},
    std::pair{StoredDType::kF8E5M2, nb::dlpack::dtype_code::Float8_E5M2},
    std::pair{StoredDType::kF8E5M2FNUZ, nb::dlpack::dtype_code::Float8_E5M2FNUZ},
    std::pair{StoredDType::kF8E8M0, nb::dlpack::dtype_code::Float8_E8M0FNU},
};

}  // namespace

std::optional<StoredDType> stored_dtype_of(nb::dlpack::dtype dtype) noexcept {
  const auto found = std::ranges::find_if(kCodes, [&](const auto& each) {
    return static_cast<std::uint8_t>(each.second) == dtype.code &&
           bits_of(each.first) == dtype.bits;
  });
  if (found == kCodes.end() || dtype.lanes != 1) return std::nullopt;
  return found->first;
}

nb::dlpack::dtype dlpack_dtype(StoredDType dtype) noexcept {
  const auto found = std::ranges::find(kCodes, dtype, &decltype(kCodes)::value_type::first);
  return {static_cast<std::uint8_t>(found->second), static_cast<std::uint8_t>(bits_of(dtype)), 1};
}

}  // namespace quarrow::python
