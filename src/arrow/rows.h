// SPDX-License-Identifier: Apache-2.0
//
// A matrix within the values of an array.
#pragma once

#include <cstdint>
#include <optional>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

// Row i holds the values [begin + i * stride, begin + i * stride + length), which are those of an
// array, without its offset. Rows may overlap, and lie in any direction. Those without values begin
// at 0, whatever lies there.
struct Rows {
  std::int64_t count = 0;
  std::int64_t begin = 0;
  std::int64_t stride = 0;
  std::int64_t length = 0;

  bool is_empty() const noexcept { return count == 0 || length == 0; }
  // Whether the rows follow each other without a gap.
  bool is_contiguous() const noexcept { return is_empty() || count == 1 || stride == length; }
  // The first value of all rows, and the one after the last. There must be one.
  std::int64_t lowest() const noexcept;
  std::int64_t end() const noexcept;
  // The same values, each once: rows that overlap are one.
  Rows distinct() const noexcept;
  // Which value, row after row, lies at `place`. It must be one of theirs.
  std::int64_t index_of(std::int64_t place) const noexcept;
};

// The first null of the rows, counted row after row.
std::optional<std::int64_t> first_null(const ArrowArray& array, const Rows& rows) noexcept;

}  // namespace quarrow
