// SPDX-License-Identifier: Apache-2.0
#include "arrow/values.h"

#include <limits>

namespace quarrow {

std::optional<std::int64_t> integer_at(const ArrowArray& array, char format, std::int64_t index) {
  const void* const values = array.buffers[1];
  switch (format) {
    case 'c':
      return number_at<std::int8_t>(values, index);
    case 'C':
      return number_at<std::uint8_t>(values, index);
    case 's':
      return number_at<std::int16_t>(values, index);
    case 'S':
      return number_at<std::uint16_t>(values, index);
    case 'i':
      return number_at<std::int32_t>(values, index);
    case 'I':
      return number_at<std::uint32_t>(values, index);
    case 'l':
      return number_at<std::int64_t>(values, index);
    case 'L': {
      const auto value = number_at<std::uint64_t>(values, index);
      if (value > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

template <typename Offset>
std::optional<std::string_view> text_of_offsets(const ArrowArray& array, std::int64_t index) {
  const auto begin = number_at<Offset>(array.buffers[1], index);
  const auto end = number_at<Offset>(array.buffers[1], index + 1);
  if (begin < 0 || end < begin) return std::nullopt;
  if (begin == end) return std::string_view("");
  if (array.buffers[2] == nullptr) return std::nullopt;
  return std::string_view(static_cast<const char*>(array.buffers[2]) + begin,
                          static_cast<std::size_t>(end - begin));
}

template std::optional<std::string_view> text_of_offsets<std::int32_t>(const ArrowArray&,
                                                                       std::int64_t);
template std::optional<std::string_view> text_of_offsets<std::int64_t>(const ArrowArray&,
                                                                       std::int64_t);

// A view holds a text of up to 12 bytes itself; a longer one lies in one of the further buffers,
// whose sizes the last buffer tells.
std::optional<std::string_view> text_of_view(const ArrowArray& array, std::int64_t index) {
  constexpr std::int32_t kInline = 12;
  const auto* const view = static_cast<const char*>(array.buffers[1]) + index * 16;
  const auto bytes = number_at<std::int32_t>(view, 0);
  if (bytes < 0) return std::nullopt;
  if (bytes <= kInline) return std::string_view(view + 4, static_cast<std::size_t>(bytes));
  const auto buffer = number_at<std::int32_t>(view, 2);
  const auto offset = number_at<std::int32_t>(view, 3);
  const std::int64_t buffers = array.n_buffers - 3;
  const void* const sizes = array.buffers[array.n_buffers - 1];
  if (buffer < 0 || buffer >= buffers || offset < 0 || sizes == nullptr) return std::nullopt;
  const auto size = number_at<std::int64_t>(sizes, buffer);
  if (std::int64_t{offset} + bytes > size || array.buffers[2 + buffer] == nullptr) {
    return std::nullopt;
  }
  return std::string_view(static_cast<const char*>(array.buffers[2 + buffer]) + offset,
                          static_cast<std::size_t>(bytes));
}

}  // namespace quarrow
