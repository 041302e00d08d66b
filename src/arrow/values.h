// SPDX-License-Identifier: Apache-2.0
//
// Single values of an array, by their index with its offset. What lies in buffers is distrusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "quarrow/arrow/c_data.h"

namespace quarrow {

// Buffers of mapped files need not be aligned to their values.
template <typename Number>
Number number_at(const void* buffer, std::int64_t index) {
  Number value;
  std::memcpy(&value, static_cast<const std::byte*>(buffer) + index * std::int64_t{sizeof value},
              sizeof value);
  return value;
}

// A value of an integer format ("c", "C"...): an index into a dictionary, the end of a run. Nothing
// where it does not fit in an int64.
std::optional<std::int64_t> integer_at(const ArrowArray& array, char format, std::int64_t index);

// A text of an array with offsets of 32 or 64 bits; nothing where they cannot be.
template <typename Offset>
std::optional<std::string_view> text_of_offsets(const ArrowArray& array, std::int64_t index);

// A text of an array of views; nothing where it points outside of its buffers.
std::optional<std::string_view> text_of_view(const ArrowArray& array, std::int64_t index);

}  // namespace quarrow
