// SPDX-License-Identifier: Apache-2.0
//
// The JSON of a header or an index, read as a stretch of its file: an input iterator, so that it is
// parsed without being held in memory, and the parser's place in the file is known.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/file.h"

namespace quarrow {

// No float of a header or an index is of use, but each must be read: an index may well say that its
// total_size is 1e400. What a long double cannot hold either is invalid.
using HeaderJson = nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int64_t,
                                        std::uint64_t, long double>;

// What went wrong, without the parser's own names and places for it:
// "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ..."
// "[json.exception.out_of_range.406] number overflow parsing '1e9999'"
inline std::string json_fault_text(std::string_view words) {
  for (const std::string_view end : {": ", "] "}) {
    const std::size_t found = words.find(end);
    if (found != std::string_view::npos) return std::string(words.substr(found + end.size()));
  }
  return std::string(words);
}

class HeaderStream {
 public:
  HeaderStream(const File& file, std::uint64_t begin, std::uint64_t end)
      : file_(file), buffer_begin_(begin), end_(end) {
    fill(begin);
  }

  // Position in the file of the byte that current() shows.
  std::uint64_t position() const noexcept { return buffer_begin_ + cursor_; }
  bool at_end() const noexcept { return cursor_ == buffered_; }
  char current() const noexcept { return buffer_[cursor_]; }
  void advance() {
    if (++cursor_ == buffered_) fill(position());
    // The parser would take a NUL byte for the end of its input, and what follows for nothing.
    if (!at_end() && current() == '\0') {
      CheckpointFault fault(FileRule::kHeaderNul, file_.path());
      fault.position = position();
      throw fault;
    }
  }

 private:
  void fill(std::uint64_t begin) {
    const std::uint64_t wanted = std::min<std::uint64_t>(end_ - begin, buffer_.size());
    buffer_begin_ = begin;
    cursor_ = 0;
    buffered_ = file_.read_at(buffer_.data(), static_cast<std::size_t>(wanted), begin);
    if (buffered_ < wanted) throw CheckpointFault(FileRule::kShrank, file_.path());
  }

  const File& file_;
  std::uint64_t buffer_begin_;
  std::uint64_t end_;
  std::size_t cursor_ = 0;
  std::size_t buffered_ = 0;
  std::array<char, std::size_t{64} << 10> buffer_;
};

// A default iterator is the end.
class HeaderIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  HeaderIterator() = default;
  explicit HeaderIterator(HeaderStream& stream) noexcept : stream_(&stream) {}

  char operator*() const noexcept { return stream_->current(); }
  HeaderIterator& operator++() {
    stream_->advance();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const HeaderIterator& left, const HeaderIterator& right) noexcept {
    return left.done() == right.done();
  }

 private:
  bool done() const noexcept { return stream_ == nullptr || stream_->at_end(); }

  HeaderStream* stream_ = nullptr;
};

}  // namespace quarrow
