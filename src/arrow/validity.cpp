// SPDX-License-Identifier: Apache-2.0
#include "arrow/validity.h"

#include <cstring>

namespace quarrow {
namespace {

// Null where every value is valid. An array of type null has no buffers at all.
const std::uint8_t* bitmap_of(const ArrowArray& array) noexcept {
  if (array.null_count == 0 || array.n_buffers == 0) return nullptr;
  return static_cast<const std::uint8_t*>(array.buffers[0]);
}

bool is_valid(const std::uint8_t* bitmap, std::int64_t index) noexcept {
  return ((bitmap[index / 8] >> (index % 8)) & 1) != 0;
}

}  // namespace

bool is_null(const ArrowArray& array, std::int64_t index) noexcept {
  const std::uint8_t* bitmap = bitmap_of(array);
  return bitmap != nullptr && !is_valid(bitmap, index);
}

std::optional<std::int64_t> first_null(const ArrowArray& array, std::int64_t begin,
                                       std::int64_t count) noexcept {
  const std::uint8_t* bitmap = bitmap_of(array);
  if (bitmap == nullptr) return std::nullopt;
  const std::int64_t end = begin + count;
  std::int64_t at = begin;
  while (at < end) {
    // Eight whole bytes at a time: a column of 400 MB has 12 MB of bits.
    if (at % 8 == 0 && end - at >= 64) {
      std::uint64_t word = 0;
      std::memcpy(&word, bitmap + at / 8, sizeof word);
      if (word == ~std::uint64_t{0}) {
        at += 64;
        continue;
      }
    }
    if (!is_valid(bitmap, at)) return at - begin;
    ++at;
  }
  return std::nullopt;
}

}  // namespace quarrow
