// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <utility>

#include "containers/foreign_file.h"
#include "containers/header_stream.h"
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
std::uint64_t checked_header_length(const File& file, std::uint64_t file_bytes) {
  std::array<char, kForeignFileBytes> first{};
  const std::size_t got = file.read_at(first.data(), first.size(), 0);
  const std::string_view first_bytes(first.data(), got);
  std::uint64_t length = 0;
  std::optional<FileRule> broken;
  std::uint64_t position = 0;
  if (got < kLengthBytes) {
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
    } else if (got > kLengthBytes && first[kLengthBytes] != '{') {
      broken = FileRule::kHeaderStart;
      position = kLengthBytes;
    }
  }
  if (!broken) return length;
  if (const auto foreign = foreign_file(first_bytes, file_bytes)) {
    throw CheckpointFault(*foreign, file.path());
  }
  fail(*broken, file.path(), position);
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

Checkpoint open_safetensors(const std::string& path) {
  Checkpoint opened;
  opened.path = path;
  opened.files.push_back({File::open_to_read(path), {}, 0, 0, nullptr});
  CheckpointFile& file = opened.files[0];
  file.identity = file.file.identity();
  file.header_bytes = checked_header_length(file.file, file.identity.bytes);
  file.data_start = kLengthBytes + file.header_bytes;

  HeaderStream stream(file.file, kLengthBytes, file.data_start);
  SafetensorsHeaderReader reader(stream, opened.path, opened.tensors);
  HeaderJson::sax_parse(HeaderIterator(stream), HeaderIterator(), &reader);
  opened.tensors.seal();
  check_coverage(opened);
  return opened;
}

}  // namespace quarrow
