// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "containers/header_stream.h"
#include "containers/opened_file.h"
#include "containers/safetensors_container.h"
#include "containers/safetensors_header.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/safetensors.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kLengthBytes = 8;

[[noreturn]] void fail(FileRule rule, const std::string& path, std::uint64_t position) {
  CheckpointFault fault(rule, path);
  fault.position = position;
  throw fault;
}

// The header's length, once it is sure that a header of that length can be there.
std::uint64_t checked_header_length(const OpenedFile& file) {
  const std::string_view first = file.first_bytes();
  const std::uint64_t file_bytes = file.identity.bytes;
  std::uint64_t length = 0;
  std::optional<FileRule> broken;
  std::uint64_t position = 0;
  if (first.size() < kLengthBytes) {
    broken = FileRule::kLengthTruncated;
  } else {
    for (std::size_t index = kLengthBytes; index-- > 0;) {
      length = length << 8 | static_cast<unsigned char>(first[index]);
    }
    if (length == 0) {
      broken = FileRule::kHeaderEmpty;
    } else if (length > kMaxHeaderBytes) {
      broken = FileRule::kHeaderTooLarge;
    } else if (length > file_bytes - kLengthBytes) {
      broken = FileRule::kHeaderPastEnd;
    } else if (first.size() > kLengthBytes && first[kLengthBytes] != '{') {
      broken = FileRule::kHeaderStart;
      position = kLengthBytes;
    }
  }
  if (!broken) return length;
  if (const auto foreign = foreign_file(first, file_bytes)) {
    throw CheckpointFault(*foreign, file.file.path());
  }
  fail(*broken, file.file.path(), position);
}

// The format wants the data covered exactly: each tensor begins where the one before it ended.
void check_coverage(const Checkpoint& opened) {
  const CheckpointFile& file = opened.files[0];
  const std::uint64_t data_bytes = file.identity.bytes - file.data_start;
  std::uint64_t covered = 0;
  for (const TensorEntry& entry : opened.tensors.entries()) {
    std::optional<FileRule> broken;
    if (entry.end > data_bytes) {
      broken = FileRule::kOffsetsPastEnd;
    } else if (entry.begin < covered) {
      broken = FileRule::kOverlap;
    } else if (entry.begin > covered) {
      broken = FileRule::kHole;
    }
    if (broken) {
      CheckpointFault fault(*broken, opened.path);
      fault.tensor = std::string(entry.name);
      fault.position = file.data_start + (entry.begin > covered ? covered : entry.begin);
      throw fault;
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    fail(FileRule::kTrailingBytes, opened.path, file.data_start + covered);
  }
}

}  // namespace

Checkpoint read_safetensors(OpenedFile&& from) {
  Checkpoint opened;
  opened.path = from.file.path();
  const std::uint64_t header_bytes = checked_header_length(from);
  opened.files.push_back({.file = std::move(from.file),
                          .identity = from.identity,
                          .data_start = kLengthBytes + header_bytes,
                          .header_bytes = header_bytes,
                          .mapping = nullptr});
  const CheckpointFile& file = opened.files[0];

  HeaderStream stream(file.file, kLengthBytes, file.data_start);
  SafetensorsHeaderReader reader(stream, opened.path, opened.tensors);
  HeaderJson::sax_parse(HeaderIterator(stream), HeaderIterator(), &reader);
  opened.tensors.seal();
  check_coverage(opened);
  return opened;
}

Checkpoint open_safetensors(const std::string& path) { return read_safetensors(OpenedFile(path)); }

}  // namespace quarrow
