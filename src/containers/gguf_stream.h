// SPDX-License-Identifier: Apache-2.0
//
// The numbers of a GGUF header, one after the other, read from the file a stretch at a time.
// Nothing is believed: a count is compared with the bytes that are left before anybody acts on it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/file.h"

namespace quarrow {

class GgufStream {
 public:
  GgufStream(const File& file, std::uint64_t file_bytes);

  std::uint64_t position() const noexcept { return buffer_begin_ + cursor_; }

  // All throw CheckpointFault (kHeaderPastEnd, kHeaderTooLarge, kShrank) where the bytes end.
  void read(char* into, std::uint64_t bytes);
  template <typename Number>
  Number number() {
    std::array<char, sizeof(Number)> bytes;
    field_ = position();
    read(bytes.data(), bytes.size());
    Number number;
    std::memcpy(&number, bytes.data(), sizeof(number));
    return number;
  }

  // A count of items that take so many bytes at least. Throws CheckpointFault (kCountPastEnd, with
  // `what` as the detail) where so many cannot follow.
  template <typename Number>
  std::uint64_t count(std::uint64_t item_bytes, std::string_view what) {
    const std::uint64_t items = number<Number>();
    check_count(items, item_bytes, what);
    return items;
  }

  // About the number that was read last.
  CheckpointFault fault(FileRule rule, std::string detail = {}) const;

 private:
  std::uint64_t left() const noexcept { return end_ - position(); }
  void check_count(std::uint64_t items, std::uint64_t item_bytes, std::string_view what) const;
  void fill();

  const File& file_;
  std::uint64_t file_bytes_;
  std::uint64_t end_;  // of what a header may take
  std::uint64_t buffer_begin_ = 0;
  std::uint64_t field_ = 0;  // where the last number begins
  std::size_t cursor_ = 0;
  std::size_t buffered_ = 0;
  std::array<char, std::size_t{64} << 10> buffer_;
};

}  // namespace quarrow
