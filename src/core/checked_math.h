// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on sizes that come from outside.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace quarrow {

// a * b, or nothing where it does not fit in 63 bits, so that it is also a valid signed offset.
constexpr std::optional<std::uint64_t> checked_product(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (a != 0 && b > kMax / a) return std::nullopt;
  return a * b;
}

}  // namespace quarrow
