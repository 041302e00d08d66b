// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on sizes.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace quarrow {

// So that every size is also a valid signed offset.
inline constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();

// a * b, or nothing where it is beyond that.
constexpr std::optional<std::uint64_t> checked_product(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product) || product > kMaxSize) return std::nullopt;
  return product;
}

constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) noexcept {
  return a / b + (a % b != 0);
}

// The least multiple of `step` that is not below `bytes`, which are far from 2^64.
constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t step) noexcept {
  return (bytes + step - 1) / step * step;
}

}  // namespace quarrow
