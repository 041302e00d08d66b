// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <string>

#include "containers/safetensors_container.h"
#include "core/checked_math.h"
#include "core/json_text.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/core/executor.h"

namespace quarrow {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kDataAlignment = 8;
constexpr std::size_t kWriteBytes = std::size_t{256} << 10;

using Sink = FunctionRef<void(std::string_view)>;

// As json_text(), a piece at a time: a value of the metadata can be as long as a header may be.
void put_quoted(std::string_view text, Sink sink) {
  sink("\"");
  while (!text.empty()) {
    std::size_t cut = std::min(text.size(), kWriteBytes);
    const auto inside_character = [&] { return (text[cut] & 0xc0) == 0x80; };
    while (cut > 1 && cut < text.size() && inside_character()) --cut;
    const std::string piece = json_text(text.substr(0, cut));
    sink(std::string_view(piece).substr(1, piece.size() - 2));
    text.remove_prefix(cut);
  }
  sink("\"");
}

void put_number(std::uint64_t number, Sink sink) {
  std::array<char, 20> digits;
  const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  sink({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

// In pieces that need no memory: the length of the header is counted of every job.
void put_entry(const TensorEntry& entry, Sink sink) {
  if (is_plain_json(entry.name)) {
    sink("\"");
    sink(entry.name);
    sink("\"");
  } else {
    sink(json_text(entry.name));
  }
  sink(":{\"dtype\":\"");
  sink(name_of(entry.dtype));
  sink("\",\"shape\":[");
  for (std::size_t axis = 0; axis < entry.shape.size(); ++axis) {
    if (axis > 0) sink(",");
    put_number(entry.shape[axis], sink);
  }
  sink("],\"data_offsets\":[");
  put_number(entry.begin, sink);
  sink(",");
  put_number(entry.end, sink);
  sink("]}");
}

// Hands out the JSON in pieces, so that a header is never held in memory.
void for_each_piece(const SafetensorsHeader& header, Sink sink) {
  std::string_view separator = "{";
  if (header.metadata->has_value()) {
    sink("{\"__metadata__\":{");
    separator = "";
    for (const auto& [key, value] : **header.metadata) {
      sink(separator);
      put_quoted(key, sink);
      sink(":");
      put_quoted(value.text(), sink);
      separator = ",";
    }
    sink("}");
    separator = ",";
  }
  for (const std::uint32_t index : header.order) {
    sink(separator);
    put_entry(header.entries[index], sink);
    separator = ",";
  }
  sink(separator == "{" ? "{}" : "}");
}

}  // namespace

std::uint64_t assign_offsets(std::span<TensorEntry> entries, std::vector<std::uint32_t>& order) {
  order.clear();
  order.reserve(entries.size());
  for (const unsigned alignment : {8U, 4U, 2U, 1U}) {
    for (std::uint32_t index = 0; index < entries.size(); ++index) {
      if (alignment_of(entries[index].dtype) == alignment) order.push_back(index);
    }
  }
  if (order.size() != entries.size()) throw std::logic_error("an alignment that is not looked for");
  std::uint64_t offset = 0;
  for (const std::uint32_t index : order) {
    TensorEntry& entry = entries[index];
    bool partial_byte = false;
    const auto bytes = tensor_bytes(entry.dtype, entry.shape, partial_byte);
    if (!bytes || *bytes > kMaxSize - offset) throw std::length_error("tensor data");
    entry.begin = offset;
    offset += *bytes;
    entry.end = offset;
  }
  return offset;
}

std::uint64_t SafetensorsHeader::bytes() const {
  std::uint64_t json_bytes = 0;
  for_each_piece(*this, [&](std::string_view piece) { json_bytes += piece.size(); });
  const std::uint64_t total = kLengthBytes + json_bytes;
  return round_up(total, kDataAlignment);
}

void SafetensorsHeader::write(const File& file) const {
  const std::uint64_t total = bytes();
  std::string buffer;
  for (std::uint64_t length = total - kLengthBytes; buffer.size() < kLengthBytes; length >>= 8) {
    buffer.push_back(static_cast<char>(length & 0xff));
  }
  std::uint64_t written = 0;
  const auto flush = [&] {
    file.write_at(buffer.data(), buffer.size(), written);
    written += buffer.size();
    buffer.clear();
  };
  for_each_piece(*this, [&](std::string_view piece) {
    buffer.append(piece);
    if (buffer.size() >= kWriteBytes) flush();
  });
  buffer.append(static_cast<std::size_t>(total - written - buffer.size()), ' ');
  flush();
}

FileSizes place_safetensors(const std::optional<TensorTable::Metadata>& metadata,
                            std::span<TensorEntry> entries, std::vector<std::uint32_t>& order) {
  FileSizes sizes;
  const std::uint64_t data_bytes = assign_offsets(entries, order);
  sizes.header_bytes = SafetensorsHeader{&metadata, entries, order}.bytes();
  if (data_bytes > kMaxSize - sizes.header_bytes) throw std::length_error("file size");
  sizes.file_bytes = sizes.header_bytes + data_bytes;
  return sizes;
}

void write_safetensors_header(const std::optional<TensorTable::Metadata>& metadata,
                              std::span<const TensorEntry> entries,
                              std::span<const std::uint32_t> order, const File& file) {
  SafetensorsHeader{&metadata, entries, order}.write(file);
}

}  // namespace quarrow
