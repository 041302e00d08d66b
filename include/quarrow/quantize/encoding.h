// SPDX-License-Identifier: Apache-2.0
//
// What a format makes of a matrix: the parts with their exact sizes, and where tiles may end.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quarrow/core/element_type.h"
#include "quarrow/core/role.h"

namespace quarrow {

// One array of a quantized layer: `rows` rows of row_bytes bytes. Each step_cols columns of the
// layer take step_bytes of a row, the last ones too where they are fewer.
struct PartSpec {
  Role role = Role::kCodes;
  ElementType type = ElementType::kU8;  // in memory; files may hold another
  std::uint32_t step_bytes = 1;
  std::uint64_t rows = 0;  // those of the layer, or 1 that they share
  std::uint64_t row_bytes = 0;
  std::uint64_t step_cols = 1;  // 0: one step for the row

  std::uint64_t bytes() const noexcept { return rows * row_bytes; }
  // Whether the rows of the layer share one, so that it is the same wherever a tile begins.
  bool is_shared() const noexcept { return rows == 1; }
  // Bytes from what one row of the layer has to what the next has, where rows lie so far apart.
  std::uint64_t row_stride(std::uint64_t apart) const noexcept { return is_shared() ? 0 : apart; }
  // Elements of a row.
  std::uint64_t columns() const noexcept { return row_bytes / block_of(type).bytes; }
};

// Which part of a tensor one range (and so one scale) covers. kNone: no range is needed.
enum class RangeSpan : std::uint8_t { kGroup, kRow, kTensor, kNone };

// A file has a hundred thousand layers, each with room for so many.
inline constexpr std::size_t kMaxParts = 4;

// The codes are the first part.
struct Encoding {
  std::uint64_t block_cols = 1;  // columns of a full group (a block), at least 1
  RangeSpan range_span = RangeSpan::kGroup;
  bool needs_width = false;  // hi - lo of a range must fit in f32: codes count from lo

  // At most kMaxParts.
  void add(const PartSpec& part) noexcept {
    assert(count_ < kMaxParts);
    parts_[count_++] = part;
  }
  std::span<const PartSpec> parts() const noexcept { return {parts_.data(), count_}; }
  const PartSpec& codes() const noexcept { return parts_[0]; }
  // Null when the format has no such part.
  const PartSpec* find(Role role) const noexcept {
    for (const PartSpec& part : parts()) {
      if (part.role == role) return &part;
    }
    return nullptr;
  }
  std::uint64_t bytes_of(Role role) const noexcept {
    const PartSpec* part = find(role);
    return part == nullptr ? 0 : part->bytes();
  }

 private:
  std::uint8_t count_ = 0;
  std::array<PartSpec, kMaxParts> parts_;
};

}  // namespace quarrow
