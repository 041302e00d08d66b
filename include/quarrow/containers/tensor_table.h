// SPDX-License-Identifier: Apache-2.0
//
// What a file holds, without its data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "quarrow/containers/metadata_value.h"
#include "quarrow/core/element_type.h"
#include "quarrow/core/executor.h"

namespace quarrow {

// One tensor. Borrows its name and shape from a table, or from whoever made it.
struct TensorEntry {
  std::string_view name;  // UTF-8, any characters, NUL included
  std::span<const std::uint64_t> shape;
  ElementType dtype = ElementType::kF32;
  std::uint32_t file = 0;   // of the checkpoint's files
  std::uint64_t begin = 0;  // bytes from the start of that file's data
  std::uint64_t end = 0;

  std::uint64_t bytes() const noexcept { return end - begin; }
};

// Bytes of a tensor of that shape. Nothing when its bits do not fit in 63 bits, whatever the order
// of the dimensions and even beside a dimension of zero, or (partial_byte is set) when the elements
// do not fill whole bytes, or a row of ggml's blocks whole blocks.
std::optional<std::uint64_t> tensor_bytes(ElementType dtype, std::span<const std::uint64_t> shape,
                                          bool& partial_byte) noexcept;

// The tensors of one or more files in the order of their data, and their metadata in the order of
// the files.
// Owns names, shapes and metadata; what it hands out stays valid as long as it lives. Movable.
class TensorTable {
 public:
  using Metadata = std::vector<std::pair<std::string_view, MetadataValue>>;

  TensorTable();
  TensorTable(TensorTable&&) noexcept = default;
  TensorTable& operator=(TensorTable&&) noexcept = default;

  std::size_t size() const noexcept { return entries_.size(); }
  const TensorEntry& operator[](std::size_t index) const noexcept { return entries_[index]; }
  std::span<const TensorEntry> entries() const noexcept { return entries_; }

  // Nothing when the file has no metadata; an empty list when it has an empty one.
  const std::optional<Metadata>& metadata() const noexcept { return metadata_; }

  // The tensor of that name; null when there is none. Valid after seal().
  const TensorEntry* find(std::string_view name) const noexcept;
  // A tensor whose name another one has too; null when there is none. Valid after seal().
  const TensorEntry* name_twice() const noexcept;
  // Whether a tensor's name begins so. Valid after seal().
  bool has_prefix(std::string_view prefix) const noexcept;

  // For readers. Texts and shapes are copied into the table.
  void reserve(std::size_t entries);
  std::string_view keep(std::string_view text);
  // Bytes of the table to be filled, once.
  std::span<char> room(std::size_t bytes);
  std::span<const std::uint64_t> keep(std::span<const std::uint64_t> shape);
  MetadataValue keep_value(const MetadataValue& value) {
    return {value.type(), keep(value.bytes())};
  }
  void add(const TensorEntry& entry) { entries_.push_back(entry); }
  void set_metadata(Metadata metadata) { metadata_ = std::move(metadata); }
  // Takes over the texts of another table and those of its entries that are wanted; its metadata is
  // left to the caller.
  void append(TensorTable&& other, std::uint32_t file,
              FunctionRef<bool(const TensorEntry&)> is_wanted);
  // Sorts by position and by name. No more entries after this, until append().
  void seal();

 private:
  // The first in the order of the names that is not before `name`; null when all are.
  const TensorEntry* first_from(std::string_view name) const noexcept;

  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_;
  std::vector<std::unique_ptr<std::pmr::monotonic_buffer_resource>> appended_memory_;
  std::vector<TensorEntry> entries_;
  std::vector<std::uint32_t> by_name_;
  // What stands behind the last dot of the names, each once, in order. There are few, so that most
  // of what is looked for and is not there needs no look at the names.
  std::vector<std::string_view> endings_;
  std::optional<Metadata> metadata_;
};

}  // namespace quarrow
