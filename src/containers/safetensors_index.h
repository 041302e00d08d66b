// SPDX-License-Identifier: Apache-2.0
//
// model.safetensors.index.json: which tensor lies in which file. Its "weight_map" decides; what its
// "metadata" says of sizes is not believed, and not needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/containers/file.h"
#include "quarrow/containers/tensor_table.h"

namespace quarrow {

// Tensors and files of one index, so that it cannot grow in memory: a pair of short names takes 8
// bytes of it and many times as many there.
inline constexpr std::size_t kMaxIndexTensors = std::size_t{1} << 20;
inline constexpr std::size_t kMaxIndexFiles = std::size_t{1} << 16;

class SafetensorsIndex {
 public:
  struct Entry {
    std::string_view name;
    std::uint32_t file = 0;
  };

  // Throws CheckpointFault, also for a file name that leads out of the index's folder;
  // filesystem_error.
  explicit SafetensorsIndex(const std::string& path);

  const FileIdentity& identity() const noexcept { return identity_; }        // before it was read
  const std::vector<std::string>& files() const noexcept { return files_; }  // sorted
  std::size_t size() const noexcept { return entries_.size(); }
  // The file of a tensor; nothing when the index does not name it.
  std::optional<std::uint32_t> find(std::string_view name) const noexcept;
  // The first tensor by name that `tensors` lacks, of which there must be one.
  Entry first_missing(const TensorTable& tensors) const;

 private:
  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_;
  FileIdentity identity_;
  std::vector<std::string> files_;
  std::vector<Entry> entries_;  // sorted by name
};

// The index of a checkpoint that was written in several files, as JSON text.
std::string index_text(const std::vector<std::string>& files,
                       const std::vector<SafetensorsIndex::Entry>& entries,
                       std::uint64_t data_bytes);

}  // namespace quarrow
