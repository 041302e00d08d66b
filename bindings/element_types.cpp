// SPDX-License-Identifier: Apache-2.0
#include "element_types.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nb = nanobind;

namespace quarrow::python {
namespace {

constexpr std::array kCodes = {
    std::pair{ElementType::kF16, nb::dlpack::dtype_code::Float},
    std::pair{ElementType::kBF16, nb::dlpack::dtype_code::Bfloat},
    std::pair{ElementType::kF32, nb::dlpack::dtype_code::Float},
    std::pair{ElementType::kI8, nb::dlpack::dtype_code::Int},
    std::pair{ElementType::kU8, nb::dlpack::dtype_code::UInt},
    std::pair{ElementType::kI32, nb::dlpack::dtype_code::Int},
    std::pair{ElementType::kI64, nb::dlpack::dtype_code::Int},
    std::pair{ElementType::kF64, nb::dlpack::dtype_code::Float},
    std::pair{ElementType::kI16, nb::dlpack::dtype_code::Int},
    std::pair{ElementType::kU16, nb::dlpack::dtype_code::UInt},
    std::pair{ElementType::kU32, nb::dlpack::dtype_code::UInt},
    std::pair{ElementType::kU64, nb::dlpack::dtype_code::UInt},
    std::pair{ElementType::kBool, nb::dlpack::dtype_code::Bool},
    std::pair{ElementType::kC64, nb::dlpack::dtype_code::Complex},
    std::pair{ElementType::kF8E4M3, nb::dlpack::dtype_code::Float8_E4M3FN},
    std::pair{ElementType::kF8E4M3FNUZ, nb::dlpack::dtype_code::Float8_E4M3FNUZ},
    std::pair{ElementType::kF8E5M2, nb::dlpack::dtype_code::Float8_E5M2},
    std::pair{ElementType::kF8E5M2FNUZ, nb::dlpack::dtype_code::Float8_E5M2FNUZ},
    std::pair{ElementType::kF8E8M0, nb::dlpack::dtype_code::Float8_E8M0FNU},
};

}  // namespace

std::optional<ElementType> element_type_of(nb::dlpack::dtype dtype) noexcept {
  const auto found = std::ranges::find_if(kCodes, [&](const auto& each) {
    return static_cast<std::uint8_t>(each.second) == dtype.code &&
           8 * block_of(each.first).bytes == dtype.bits;
  });
  if (found == kCodes.end() || dtype.lanes != 1) return std::nullopt;
  return found->first;
}

nb::dlpack::dtype dlpack_dtype(ElementType dtype) noexcept {
  const auto found = std::ranges::find(kCodes, dtype, &decltype(kCodes)::value_type::first);
  const auto bits = static_cast<std::uint8_t>(8 * block_of(dtype).bytes);
  return {static_cast<std::uint8_t>(found->second), bits, 1};
}

}  // namespace quarrow::python
