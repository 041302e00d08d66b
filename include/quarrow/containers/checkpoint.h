// SPDX-License-Identifier: Apache-2.0
//
// Tensors that lie in one file, or in several that an index names, read where they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quarrow/containers/file.h"
#include "quarrow/containers/tensor_table.h"

namespace quarrow {

// Each is a line in src/containers/container.cpp.
enum class Container : std::uint8_t { kSafetensors, kGguf };

enum class Io : std::uint8_t {
  kRead,  // pread into the caller's memory
  kMap,   // mmap: nothing is copied, but a file that another process cuts short is SIGBUS
};

struct CheckpointFile {
  File file;                     // closed when the data is in memory
  FileIdentity identity;         // when it was opened
  std::uint64_t data_start = 0;  // of TensorEntry::begin and end
  std::uint64_t header_bytes = 0;
  std::shared_ptr<const Mapping> mapping;  // of the whole file; null with Io::kRead
  const std::byte* memory = nullptr;       // of data that a program holds, borrowed
};

// Borrows nothing. Movable.
struct Checkpoint {
  std::string path;  // as the caller named it: the file, or the index
  Container container = Container::kSafetensors;
  std::vector<CheckpointFile> files;  // at least one, but for an index of none
  std::optional<FileIdentity> index;  // the file that lists them
  TensorTable tensors;  // of all files; where an index lists them, those that it names
  // What shards say of themselves: values of keys that are not the same in all that have the key.
  // They are no part of the metadata of the whole. Borrowed from `tensors`.
  TensorTable::Metadata differing_metadata;
  std::uint64_t trailing_bytes = 0;  // behind the last tensor, which belong to none
  std::uint64_t unlisted = 0;        // tensors of shards that the index does not place there

  const CheckpointFile& file_of(const TensorEntry& tensor) const { return files[tensor.file]; }
  // Of the tensor's first byte, in its file.
  std::uint64_t position_of(const TensorEntry& tensor) const {
    return file_of(tensor).data_start + tensor.begin;
  }
  // Every file of it, the index included: what no job that reads it may write to.
  std::vector<FileIdentity> identities() const;
  std::uint64_t file_bytes() const noexcept;
  std::uint64_t header_bytes() const noexcept;

  // `bytes` of a tensor's data from `offset` on: in `buffer`, or where the file is mapped. From any
  // thread. Throws CheckpointFault (kShrank, and with Io::kMap kChanged) and filesystem_error.
  const std::byte* read(const TensorEntry& tensor, std::uint64_t offset, std::uint64_t bytes,
                        void* buffer) const;

  // Throws CheckpointFault (kTensorDimensions) where a tensor, or the layer that its entry belongs
  // to, has more dimensions than an array can have: it is listed and copied, nothing else.
  void check_dimensions(const TensorEntry& tensor, std::string_view name,
                        std::span<const std::uint64_t> shape) const;

  // Throws CheckpointFault (kChanged) when a file is not what was opened.
  void check_unchanged() const;
  void close();
};

// A tensor that a program holds, borrowed, in C order.
struct TensorInMemory {
  std::string_view name;
  ElementType dtype = ElementType::kF32;
  std::span<const std::uint64_t> shape;
  std::span<const std::byte> data;  // of as many bytes as dtype and shape say
};

// A checkpoint that lies in no file, its tensors in the order given. Copies names, shapes and
// metadata. Throws std::invalid_argument where the length of the data is not that of the shape, or
// a name occurs twice.
Checkpoint checkpoint_in_memory(std::span<const TensorInMemory> tensors,
                                const TensorTable::Metadata& metadata);

// Opens a file of any container, known by its first bytes whatever its name, or with a name in
// .json the index of several safetensors files: all of them are opened and must hold the tensors
// that the index places in them. What else they hold is not of this checkpoint: stale copies beside
// an overlay, tensors that the index leaves out. Throws CheckpointFault, also (kChanged) when
// another set takes the place of this one meanwhile; filesystem_error.
Checkpoint open_checkpoint(const std::string& path, Io io);

}  // namespace quarrow
