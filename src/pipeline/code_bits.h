// SPDX-License-Identifier: Apache-2.0
//
// Bits of packed codes, which lie lowest first in their bytes.
#pragma once

#include <cstdint>

#include "quarrow/quantize/plan.h"

namespace quarrow {

// The highest bit of each code of a byte: flipped, signed codes become unsigned ones and back.
inline std::uint8_t sign_bits(int bits) noexcept {
  switch (bits) {
    case 2:
      return 0xAA;
    case 4:
      return 0x88;
    default:
      return 0x80;
  }
}

// Which bits of a row's last byte belong to codes.
inline std::uint8_t last_byte_mask(const LayerPlan& layer) noexcept {
  const auto bits = static_cast<std::uint64_t>(layer.format.spec->bits);
  const std::uint64_t used = layer.cols * bits % 8;
  return static_cast<std::uint8_t>(used == 0 ? 0xFF : (1U << used) - 1);
}

}  // namespace quarrow
