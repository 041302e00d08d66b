// SPDX-License-Identifier: Apache-2.0
#include "containers/gguf_stream.h"

#include <algorithm>
#include <utility>

#include "quarrow/containers/header_limits.h"

namespace quarrow {

GgufStream::GgufStream(const File& file, std::uint64_t file_bytes)
    : file_(file), file_bytes_(file_bytes), end_(std::min(file_bytes, kMaxHeaderBytes)) {}

CheckpointFault GgufStream::fault(FileRule rule, std::string detail) const {
  CheckpointFault fault(rule, file_.path());
  fault.position = field_;
  fault.detail = std::move(detail);
  return fault;
}

void GgufStream::read(char* into, std::uint64_t bytes) {
  if (bytes > left()) {
    throw fault(end_ < file_bytes_ ? FileRule::kHeaderTooLarge : FileRule::kHeaderPastEnd);
  }
  while (bytes > 0) {
    if (cursor_ == buffered_) fill();
    const auto piece =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, buffered_ - cursor_));
    std::memcpy(into, buffer_.data() + cursor_, piece);
    cursor_ += piece;
    into += piece;
    bytes -= piece;
  }
}

void GgufStream::check_count(std::uint64_t items, std::uint64_t item_bytes,
                             std::string_view what) const {
  if (items <= left() / item_bytes) return;
  const bool is_in_file = items <= (file_bytes_ - position()) / item_bytes;
  throw fault(is_in_file ? FileRule::kHeaderTooLarge : FileRule::kCountPastEnd, std::string(what));
}

void GgufStream::fill() {
  buffer_begin_ = position();
  cursor_ = 0;
  buffered_ = 0;
  const auto wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(end_ - buffer_begin_, buffer_.size()));
  buffered_ = file_.read_at(buffer_.data(), wanted, buffer_begin_);
  if (buffered_ < wanted) throw CheckpointFault(FileRule::kShrank, file_.path());
}

}  // namespace quarrow
