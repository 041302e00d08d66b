// SPDX-License-Identifier: Apache-2.0
//
// The kinds of files that tensors lie in. What differs between them stands in their lines of the
// registry and in their own files, and nowhere else.
#pragma once

#include <cstdint>
#include <exception>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/file.h"
#include "quarrow/containers/tensor_table.h"

namespace quarrow {

struct OpenedFile;

// Sizes of a file that is to be written.
struct FileSizes {
  std::uint64_t header_bytes = 0;  // the data begins behind them
  std::uint64_t file_bytes = 0;
};

// Where metadata come from.
struct MetadataOrigin {
  bool is_foreign = false;             // another container, whose values this one may not have
  std::string_view architecture = {};  // of a foreign file's model, where its names tell it
};

struct ContainerSpec {
  Container container;
  std::string_view name;
  std::string_view ending;       // of file names, in small letters
  std::string_view first_bytes;  // of every file; empty: of any that no other line knows
  // What is written can be read again.
  std::uint64_t most_header_bytes;
  std::size_t most_tensors;
  bool in_shards;  // whether a checkpoint may be several files and their index

  // Reads a header. Throws CheckpointFault or filesystem_error.
  Checkpoint (*open)(OpenedFile&& file);
  // Whether a file can have tensors of that type, or of that name.
  bool (*holds)(ElementType type) noexcept;
  bool (*takes_name)(std::string_view name) noexcept;

  // What a float tensor of another container that is not quantized becomes, so that loaders read
  // it.
  ElementType (*kept_as)(const TensorEntry& tensor) noexcept;

  // Gives the entries the places of their data, and says in `order` how these follow each other.
  // Throws std::length_error when the file would be longer than 63 bits can say.
  FileSizes (*place)(const std::optional<TensorTable::Metadata>& metadata,
                     std::span<TensorEntry> entries, std::vector<std::uint32_t>& order);
  // Writes the header of entries that have their places, at the start of a file that has zeros
  // where nothing is written.
  void (*write_header)(const std::optional<TensorTable::Metadata>& metadata,
                       std::span<const TensorEntry> entries, std::span<const std::uint32_t> order,
                       const File& file);
  // Makes metadata that is not that of a source what readers expect. Texts that are made lie in
  // `memory`. Throws ContainerFault (kMissingKey).
  void (*complete)(std::optional<TensorTable::Metadata>& metadata, const MetadataOrigin& origin,
                   std::pmr::memory_resource& memory);
};

// Every container. A new one is a few source files and a line.
std::span<const ContainerSpec> containers() noexcept;
const ContainerSpec& spec_of(Container container) noexcept;

// By what a file begins with.
const ContainerSpec& container_of(std::string_view first_bytes) noexcept;

// By the name of a file; nothing where its ending is no container's.
std::optional<Container> container_of_name(std::string_view path);

std::string_view name_of(Container container) noexcept;
std::optional<Container> find_container(std::string_view name) noexcept;

// What a container cannot hold.
enum class ContainerRule : std::uint8_t {
  kNoType,          // a tensor of this type (detail)
  kNoName,          // a tensor of this name
  kOneFile,         // data that does not fit into one file of the size that was asked for
  kMissingKey,      // metadata without this key (detail)
  kQuantizedLayer,  // part of a layer that is quantized for readers (detail) of another container
};

class ContainerFault : public std::exception {
 public:
  ContainerRule rule;
  Container container;
  std::string tensor;  // empty: it is not about one
  std::string detail;

  ContainerFault(ContainerRule broken, Container of) noexcept : rule(broken), container(of) {}
  const char* what() const noexcept override { return "quarrow::ContainerFault"; }
};

}  // namespace quarrow
