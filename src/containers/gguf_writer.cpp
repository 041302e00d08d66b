// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <string>

#include "containers/gguf_container.h"
#include "core/checked_math.h"
#include "core/utf8.h"

namespace quarrow {
namespace {

using Metadata = std::optional<TensorTable::Metadata>;
using Sink = FunctionRef<void(std::string_view)>;

constexpr std::size_t kWriteBytes = std::size_t{256} << 10;

// Said of a file in another container, these are texts, and mean other bytes or nothing.
constexpr std::array<std::string_view, 4> kNotOfGguf = {"format", kGgufAlignmentKey,
                                                        kGgufQuantizationKey, kGgufFileTypeKey};

constexpr std::array<std::uint64_t, 1> kOneElement = {1};

template <typename Number>
void put_number(Number number, Sink sink) {
  sink({reinterpret_cast<const char*>(&number), sizeof(number)});
}

void put_text(std::string_view text, Sink sink) {
  put_number<std::uint64_t>(text.size(), sink);
  sink(text);
}

void put_entry(const TensorEntry& entry, Sink sink) {
  put_text(entry.name, sink);
  put_number(static_cast<std::uint32_t>(entry.shape.size()), sink);
  for (std::size_t axis = entry.shape.size(); axis-- > 0;) put_number(entry.shape[axis], sink);
  put_number(ggml_type(entry.dtype).value(), sink);
  put_number(entry.begin, sink);
}

// Hands out the header in pieces, so that it is never held in memory.
void for_each_piece(const Metadata& metadata, std::span<const TensorEntry> entries, Sink sink) {
  sink(kGgufMagic);
  put_number(kNewestGguf, sink);
  put_number<std::uint64_t>(entries.size(), sink);
  put_number<std::uint64_t>(metadata ? metadata->size() : 0, sink);
  if (metadata) {
    for (const auto& [key, value] : *metadata) {
      put_text(key, sink);
      put_number(static_cast<std::uint32_t>(value.type()), sink);
      if (value.is_text()) {
        put_text(value.text(), sink);
      } else {
        sink(value.bytes());
      }
    }
  }
  for (const TensorEntry& entry : entries) put_entry(entry, sink);
}

std::uint64_t header_bytes(const Metadata& metadata, std::span<const TensorEntry> entries) {
  std::uint64_t bytes = 0;
  for_each_piece(metadata, entries, [&](std::string_view piece) { bytes += piece.size(); });
  return round_up(bytes, gguf_alignment(metadata));
}

}  // namespace

bool is_in_gguf(ElementType type) noexcept { return ggml_type(type).has_value(); }

bool is_gguf_name(std::string_view name) noexcept {
  const bool is_of_length = !name.empty() && name.size() <= kMaxGgufNameBytes;
  return is_of_length && name.find('\0') == std::string_view::npos && is_utf8(name);
}

FileSizes place_gguf(const Metadata& metadata, std::span<TensorEntry> entries,
                     std::vector<std::uint32_t>& order) {
  order.resize(entries.size());
  std::iota(order.begin(), order.end(), std::uint32_t{0});
  const std::uint64_t alignment = gguf_alignment(metadata);
  FileSizes sizes;
  for (TensorEntry& entry : entries) {
    // gguf-py reads no scalar of a type that numpy lacks.
    if (entry.shape.empty() && entry.dtype == ElementType::kBF16) entry.shape = kOneElement;
  }
  sizes.header_bytes = header_bytes(metadata, entries);
  std::uint64_t offset = 0;
  for (TensorEntry& entry : entries) {
    bool partial_block = false;
    const auto bytes = tensor_bytes(entry.dtype, entry.shape, partial_block);
    // With its padding, and behind the header.
    const std::uint64_t before = sizes.header_bytes + offset + alignment;
    if (!bytes || before > kMaxSize || *bytes > kMaxSize - before) {
      throw std::length_error("tensor data");
    }
    entry.begin = offset;
    entry.end = offset + *bytes;
    offset = round_up(entry.end, alignment);
  }
  sizes.file_bytes = sizes.header_bytes + offset;
  return sizes;
}

void write_gguf_header(const Metadata& metadata, std::span<const TensorEntry> entries,
                       std::span<const std::uint32_t> /*order*/, const File& file) {
  std::string buffer;
  std::uint64_t written = 0;
  const auto flush = [&] {
    file.write_at(buffer.data(), buffer.size(), written);
    written += buffer.size();
    buffer.clear();
  };
  for_each_piece(metadata, entries, [&](std::string_view piece) {
    buffer.append(piece);
    if (buffer.size() >= kWriteBytes) flush();
  });
  // The padding is zeros, as the file is.
  flush();
}

ElementType kept_in_gguf(const TensorEntry& tensor) noexcept {
  const bool is_matrix = tensor.shape.size() == 2 && tensor.name.ends_with(".weight");
  return tensor.dtype == ElementType::kBF16 && !is_matrix ? ElementType::kF32 : tensor.dtype;
}

void complete_gguf_metadata(Metadata& metadata, const MetadataOrigin& origin,
                            std::pmr::memory_resource& /*memory*/) {
  if (!origin.is_foreign) return;
  bool has_architecture = false;
  if (metadata) {
    std::erase_if(*metadata, [](const auto& item) {
      return item.second.is_text() && std::ranges::find(kNotOfGguf, item.first) != kNotOfGguf.end();
    });
    has_architecture = std::ranges::any_of(*metadata, [](const auto& item) {
      return item.first == kGgufArchitectureKey && !item.second.text().empty();
    });
  }
  if (has_architecture) return;
  if (!origin.architecture.empty()) {
    if (!metadata) metadata.emplace();
    std::erase_if(*metadata, [](const auto& item) { return item.first == kGgufArchitectureKey; });
    metadata->emplace_back(kGgufArchitectureKey, origin.architecture);
    return;
  }
  ContainerFault fault(ContainerRule::kMissingKey, Container::kGguf);
  fault.detail = std::string(kGgufArchitectureKey);
  throw fault;
}

}  // namespace quarrow
