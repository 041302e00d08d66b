// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/stored_dtype.h"

#include <array>

namespace quarrow {
namespace {

struct Line {
  StoredDType dtype;
  std::string_view name;
  unsigned bits;
};

constexpr std::array kLines = {
    Line{StoredDType::kBool, "BOOL", 8},
    Line{StoredDType::kU8, "U8", 8},
    Line{StoredDType::kI8, "I8", 8},
    Line{StoredDType::kI16, "I16", 16},
    Line{StoredDType::kU16, "U16", 16},
    Line{StoredDType::kF16, "F16", 16},
    Line{StoredDType::kBF16, "BF16", 16},
    Line{StoredDType::kI32, "I32", 32},
    Line{StoredDType::kU32, "U32", 32},
    Line{StoredDType::kF32, "F32", 32},
    Line{StoredDType::kF64, "F64", 64},
    Line{StoredDType::kI64, "I64", 64},
    Line{StoredDType::kU64, "U64", 64},
    Line{StoredDType::kC64, "C64", 64},
    Line{StoredDType::kF8E4M3, "F8_E4M3", 8},
    Line{StoredDType::kF8E5M2, "F8_E5M2", 8},
    Line{StoredDType::kF8E8M0, "F8_E8M0", 8},
    Line{StoredDType::kF8E4M3FNUZ, "F8_E4M3FNUZ", 8},
    Line{StoredDType::kF8E5M2FNUZ, "F8_E5M2FNUZ", 8},
    Line{StoredDType::kF6E2M3, "F6_E2M3", 6},
    Line{StoredDType::kF6E3M2, "F6_E3M2", 6},
    Line{StoredDType::kF4, "F4", 4},
};

constexpr bool indexed_by_value() {
  for (std::size_t index = 0; index < kLines.size(); ++index) {
    if (static_cast<std::size_t>(kLines[index].dtype) != index) return false;
  }
  return true;
}
static_assert(indexed_by_value());

}  // namespace

unsigned bits_of(StoredDType dtype) noexcept {
  return kLines[static_cast<std::size_t>(dtype)].bits;
}

std::string_view name_of(StoredDType dtype) noexcept {
  return kLines[static_cast<std::size_t>(dtype)].name;
}

std::optional<StoredDType> stored_dtype_from_name(std::string_view name) noexcept {
  for (const Line& line : kLines) {
    if (line.name == name) return line.dtype;
  }
  return std::nullopt;
}

bool is_narrow_float(StoredDType dtype) noexcept {
  switch (dtype) {
    case StoredDType::kF8E4M3:
    case StoredDType::kF8E5M2:
    case StoredDType::kF8E8M0:
    case StoredDType::kF8E4M3FNUZ:
    case StoredDType::kF8E5M2FNUZ:
    case StoredDType::kF6E2M3:
    case StoredDType::kF6E3M2:
    case StoredDType::kF4:
      return true;
    default:
      return false;
  }
}

std::optional<DType> float_dtype(StoredDType dtype) noexcept {
  switch (dtype) {
    case StoredDType::kF16:
      return DType::kF16;
    case StoredDType::kBF16:
      return DType::kBF16;
    case StoredDType::kF32:
      return DType::kF32;
    case StoredDType::kF64:
      return DType::kF64;
    default:
      return std::nullopt;
  }
}

StoredDType stored_dtype(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF16:
      return StoredDType::kF16;
    case DType::kBF16:
      return StoredDType::kBF16;
    case DType::kF64:
      return StoredDType::kF64;
    case DType::kF32:
      break;
  }
  return StoredDType::kF32;
}

}  // namespace quarrow
