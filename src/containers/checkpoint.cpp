// SPDX-License-Identifier: Apache-2.0
#include "quarrow/containers/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "containers/opened_file.h"
#include "containers/safetensors_index.h"
#include "containers/temporary_name.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/containers/container.h"
#include "quarrow/containers/safetensors.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow {
namespace {

[[noreturn]] void fail(FileRule rule, const std::string& path, std::string_view tensor,
                       std::string detail) {
  CheckpointFault fault(rule, path);
  fault.tensor = std::string(tensor);
  fault.detail = std::move(detail);
  throw fault;
}

Checkpoint open_shard(const std::string& index_path, const std::string& name) {
  const std::string path = split_path(index_path).folder + "/" + name;
  try {
    return open_safetensors(path);
  } catch (const std::filesystem::filesystem_error& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    fail(FileRule::kShardMissing, index_path, {}, name);
  }
}

// The metadata of all shards as one. A key whose value differs speaks of its shard, as torch's
// DCP_SHARDING_INFO does.
class MetadataMerge {
 public:
  void add(const TensorTable::Metadata& shard) {
    has_any_ = true;
    for (const auto& item : shard) {
      const auto [known, is_new] = values_.try_emplace(item.first, Known{item.second});
      if (!is_new && known->second.value == item.second) continue;
      known->second.differs = !is_new;
      items_.push_back(item);
    }
  }

  void finish(Checkpoint& all) const {
    TensorTable::Metadata same;
    for (const auto& item : items_) {
      (values_.at(item.first).differs ? all.differing_metadata : same).push_back(item);
    }
    // With keys that all differ there is none, as if none of the shards had any.
    const bool is_left = !same.empty() || all.differing_metadata.empty();
    if (has_any_ && is_left) all.tensors.set_metadata(std::move(same));
  }

 private:
  struct Known {
    MetadataValue value;
    bool differs = false;
  };

  std::map<std::string_view, Known> values_;
  TensorTable::Metadata items_;  // every value of each key
  bool has_any_ = false;
};

Checkpoint open_listed(const SafetensorsIndex& index, const std::string& path) {
  Checkpoint all;
  all.path = path;
  all.index = index.identity();
  MetadataMerge metadata;
  for (std::uint32_t number = 0; number < index.files().size(); ++number) {
    Checkpoint shard = open_shard(path, index.files()[number]);
    if (shard.tensors.metadata()) metadata.add(*shard.tensors.metadata());
    all.unlisted += shard.tensors.size();
    all.tensors.append(std::move(shard.tensors), number, [&](const TensorEntry& tensor) {
      return index.find(tensor.name) == number;
    });
    all.files.push_back(std::move(shard.files[0]));
  }
  metadata.finish(all);
  all.tensors.seal();
  all.unlisted -= all.tensors.size();
  // Every tensor found is listed once, so that equal numbers mean equal sets.
  if (all.tensors.size() != index.size()) {
    const auto missing = index.first_missing(all.tensors);
    fail(FileRule::kTensorMissing, path, missing.name, index.files()[missing.file]);
  }
  return all;
}

Checkpoint open_file(OpenedFile&& file) {
  const ContainerSpec& container = container_of(file.first_bytes());
  return container.open(std::move(file));
}

// While a set is replaced its index is away. Only who has read the index before can meet files of
// two sets, and finds another index afterwards, or none.
Checkpoint open_shards(const std::string& path) {
  const SafetensorsIndex index(path);
  const auto check_current = [&] {
    if (identity_at(path) != index.identity()) throw CheckpointFault(FileRule::kChanged, path);
  };
  try {
    Checkpoint all = open_listed(index, path);
    check_current();
    return all;
  } catch (const CheckpointFault&) {
    check_current();
    throw;
  }
}

}  // namespace

std::vector<FileIdentity> Checkpoint::identities() const {
  std::vector<FileIdentity> all;
  for (const CheckpointFile& file : files) all.push_back(file.identity);
  if (index) all.push_back(*index);
  return all;
}

std::uint64_t Checkpoint::file_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const CheckpointFile& file : files) bytes += file.identity.bytes;
  return bytes;
}

std::uint64_t Checkpoint::header_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const CheckpointFile& file : files) bytes += file.header_bytes;
  return bytes;
}

const std::byte* Checkpoint::read(const TensorEntry& tensor, std::uint64_t offset,
                                  std::uint64_t bytes, void* buffer) const {
  const CheckpointFile& from = file_of(tensor);
  if (from.memory != nullptr) return from.memory + offset;
  const std::uint64_t position = position_of(tensor) + offset;
  std::uint64_t got = 0;
  if (from.mapping != nullptr) {
    const FileIdentity now = from.file.identity();
    if (now.same_bytes(from.identity)) return from.mapping->data() + position;
    if (now.bytes >= position + bytes) fail(FileRule::kChanged, from.file.path(), tensor.name, {});
    got = now.bytes > position ? now.bytes - position : 0;
  } else {
    got = from.file.read_at(buffer, static_cast<std::size_t>(bytes), position);
    if (got == bytes) return static_cast<const std::byte*>(buffer);
  }
  CheckpointFault fault(FileRule::kShrank, from.file.path());
  fault.tensor = std::string(tensor.name);
  fault.position = position + got;
  throw fault;
}

void Checkpoint::check_dimensions(const TensorEntry& tensor, std::string_view name,
                                  std::span<const std::uint64_t> shape) const {
  if (shape.size() <= kMaxDimensions) return;
  CheckpointFault fault(FileRule::kTensorDimensions, file_of(tensor).file.path());
  fault.tensor = std::string(name);
  fault.detail = std::to_string(shape.size());
  throw fault;
}

void Checkpoint::check_unchanged() const {
  for (const CheckpointFile& file : files) {
    if (file.memory == nullptr && !file.file.identity().same_bytes(file.identity)) {
      throw CheckpointFault(FileRule::kChanged, file.file.path());
    }
  }
}

void Checkpoint::close() {
  for (CheckpointFile& file : files) {
    file.mapping.reset();
    file.file.close();
    file.memory = nullptr;
  }
}

Checkpoint checkpoint_in_memory(std::span<const TensorInMemory> tensors,
                                const TensorTable::Metadata& metadata) {
  // What an empty tensor points to.
  static constexpr std::byte kNothing{};
  Checkpoint checkpoint;
  checkpoint.tensors.reserve(tensors.size());
  checkpoint.files.reserve(tensors.size());
  for (const TensorInMemory& tensor : tensors) {
    bool partial_byte = false;
    const auto bytes = tensor_bytes(tensor.dtype, tensor.shape, partial_byte);
    if (bytes != tensor.data.size())
      throw std::invalid_argument("the bytes of a tensor are not those of its shape");
    TensorEntry entry;
    entry.name = checkpoint.tensors.keep(tensor.name);
    entry.shape = checkpoint.tensors.keep(tensor.shape);
    entry.dtype = tensor.dtype;
    entry.file = static_cast<std::uint32_t>(checkpoint.files.size());
    entry.end = *bytes;
    checkpoint.tensors.add(entry);
    CheckpointFile file{.file = File(-1, {}),
                        .identity = {},
                        .mapping = nullptr,
                        .memory = tensor.data.empty() ? &kNothing : tensor.data.data()};
    file.identity.bytes = *bytes;
    checkpoint.files.push_back(std::move(file));
  }
  if (!metadata.empty()) {
    TensorTable::Metadata kept;
    for (const auto& [key, value] : metadata) {
      kept.emplace_back(checkpoint.tensors.keep(key), checkpoint.tensors.keep_value(value));
    }
    checkpoint.tensors.set_metadata(std::move(kept));
  }
  checkpoint.tensors.seal();
  if (checkpoint.tensors.name_twice() != nullptr)
    throw std::invalid_argument("two tensors have the same name");
  return checkpoint;
}

Checkpoint open_checkpoint(const std::string& path, Io io) {
  Checkpoint opened = path.ends_with(".json") ? open_shards(path) : open_file(OpenedFile(path));
  if (io == Io::kMap) {
    for (CheckpointFile& file : opened.files) {
      file.mapping = std::make_shared<const Mapping>(file.file, file.identity.bytes);
    }
  }
  return opened;
}

}  // namespace quarrow
