// SPDX-License-Identifier: Apache-2.0
//
// The safetensors container. A file is a little-endian u64 with the header's length, a JSON header
// {name: {dtype, shape, data_offsets}} with an optional "__metadata__" of strings, and the data,
// contiguous and without holes (the README of huggingface/safetensors). Every byte is treated as
// hostile: a file that the format forbids is a CheckpointFault that names the rule.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/file.h"
#include "quarrow/containers/header_limits.h"
#include "quarrow/containers/tensor_table.h"

namespace quarrow {

// Nesting of unknown fields, which are read and ignored.
inline constexpr std::size_t kMaxHeaderDepth = 64;

// Opens a file and checks its header against the format and the file's size. Memory stays below
// 3 times the header. Throws CheckpointFault or filesystem_error.
Checkpoint open_safetensors(const std::string& path);

// Puts tensors into the order in which their data is stored, and sets begin and end: wider elements
// first, so that every tensor is aligned to its element (readers that map the file need that), and
// within one width the given order. `order` is filled with the indices of `entries` in file order.
// Throws std::length_error when the data do not fit in 63 bits.
std::uint64_t assign_offsets(std::span<TensorEntry> entries, std::vector<std::uint32_t>& order);

// The header for tensors with assigned offsets.
struct SafetensorsHeader {
  const std::optional<TensorTable::Metadata>* metadata = nullptr;  // never null
  std::span<const TensorEntry> entries;
  std::span<const std::uint32_t> order;

  // Length field and JSON, padded with spaces so that the data starts on a multiple of 8.
  std::uint64_t bytes() const;
  void write(const File& file) const;
};

}  // namespace quarrow
