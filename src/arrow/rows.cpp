// SPDX-License-Identifier: Apache-2.0
#include "arrow/rows.h"

#include <cstdlib>

#include "arrow/validity.h"

namespace quarrow {

std::int64_t Rows::lowest() const noexcept {
  return stride < 0 ? begin + (count - 1) * stride : begin;
}

std::int64_t Rows::end() const noexcept {
  return length + (stride < 0 ? begin : begin + (count - 1) * stride);
}

Rows Rows::distinct() const noexcept {
  if (is_empty() || count == 1 || std::abs(stride) >= length) return *this;
  return {.count = 1, .begin = lowest(), .stride = 0, .length = end() - lowest()};
}

std::int64_t Rows::index_of(std::int64_t place) const noexcept {
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t at = place - (begin + row * stride);
    if (at >= 0 && at < length) return row * length + at;
  }
  return 0;
}

std::optional<std::int64_t> first_null(const ArrowArray& array, const Rows& rows) noexcept {
  if (rows.is_empty()) return std::nullopt;
  const Rows distinct =
      rows.is_contiguous()
          ? Rows{.count = 1, .begin = rows.begin, .length = rows.count * rows.length}
          : rows.distinct();
  for (std::int64_t row = 0; row < distinct.count; ++row) {
    const std::int64_t begin = distinct.begin + row * distinct.stride;
    const auto null = first_null(array, array.offset + begin, distinct.length);
    if (null) return rows.index_of(begin + *null);
  }
  return std::nullopt;
}

}  // namespace quarrow
