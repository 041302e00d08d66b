// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on sizes.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace quarrow {

// a * b, or nothing where it does not fit in 63 bits, so that it is also a valid signed offset.
constexpr std::optional<std::uint64_t> checked_product(std::uint64_t a, std::uint64_t b) noexcept {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product) || product > kMax) return std::nullopt;
  return product;
}

// The least multiple of `step` that is not below `bytes`, which are far from 2^64.
constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t step) noexcept {
  return (bytes + step - 1) / step * step;
}

}  // namespace quarrow
