// SPDX-License-Identifier: Apache-2.0
//
// The parts of a quantized layer, by what they mean.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quarrow {

// A format has some of them, each once, in this order.
enum class Role : std::uint8_t {
  kCodes,
  kScales,         // of each group, row or tensor
  kZeroPoints,     // the same
  kTensorScale,    // one, beside the scales of groups
  kChannelScales,  // of each row, beside the scales of groups
  kCodebook,       // the values that codes stand for
};
inline constexpr std::size_t kRoles = 6;

// "codes", "scales", "zero_points", "tensor_scale", "channel_scales", "codebook".
std::string_view name_of(Role role) noexcept;

// One of something for each role.
template <typename T>
struct PerRole {
  std::array<T, kRoles> items = {};

  constexpr T& operator[](Role role) noexcept { return items[static_cast<std::size_t>(role)]; }
  constexpr const T& operator[](Role role) const noexcept {
    return items[static_cast<std::size_t>(role)];
  }
  friend bool operator==(const PerRole&, const PerRole&) = default;
};

}  // namespace quarrow
