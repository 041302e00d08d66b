// SPDX-License-Identifier: Apache-2.0
//
// Quantized tensors that lie in files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/layouts/dialect.h"
#include "quarrow/quantize/format.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

inline constexpr std::uint64_t kMaxRowAlignment = 4;

struct Packing;
struct Scheme;

// How a part lies in its entry. Floats have the dtype of the entry.
struct PartStorage {
  std::uint64_t row_alignment = 1;   // rows fill multiples of so many bytes, at most 4
  const Packing* packing = nullptr;  // null: row by row
};

// How the parts of a format lie in their entries.
struct Storage {
  bool unsigned_codes = false;  // symmetric codes plus half of the codes
  PerRole<PartStorage> parts = {};
};

// A tensor that a file holds quantized. Borrows from the checkpoint, the registry of layouts and
// StoredLayers.
struct StoredLayer {
  std::string_view name;                  // of the tensor that it was: "L.weight"
  std::span<const std::uint64_t> shape;   // as it was: at least two dimensions, rows first
  ElementType dtype = ElementType::kF32;  // as it was: f16, bf16, f32 or f64
  Format format;
  const Storage* storage = nullptr;
  const Scheme* scheme = nullptr;  // that found it
  bool needs_markers = false;      // is known for what it is by StoredLayers::markers() alone
  // Entries of the file. Their dtypes and shapes fit the format's encoding; null are those that it
  // does not have.
  PerRole<const TensorEntry*> parts = {};
  const TensorEntry* description = nullptr;  // null when the scheme has none
  // Entries that mean nothing once the layer has values again: scales of its activations...
  std::span<const TensorEntry* const> others = {};

  const TensorEntry* codes() const noexcept { return parts[Role::kCodes]; }
  const TensorEntry* scales() const noexcept { return parts[Role::kScales]; }
  // Of all entries.
  std::uint64_t bytes() const noexcept;
  // As the one tensor that it was, of as many bytes.
  TensorEntry as_before() const noexcept;
  // Calls visit(entry) for each entry that there is.
  template <typename Visit>
  void for_each_entry(Visit visit) const {
    for (const TensorEntry* entry : parts.items) {
      if (entry != nullptr) visit(*entry);
    }
    if (description != nullptr) visit(*description);
    for (const TensorEntry* entry : others) visit(*entry);
  }
};

// The quantized tensors of a checkpoint. Borrows from it; what it hands out stays valid as long as
// both live. Movable.
class StoredLayers {
 public:
  explicit StoredLayers(const TensorTable& file);

  std::span<const StoredLayer> layers() const noexcept { return layers_; }
  // The layer that tensor number `tensor` of the file is a part of; null when it is none.
  const StoredLayer* owner(std::size_t tensor) const noexcept;
  // Whether one of them was the tensor `name`.
  bool has(std::string_view name) const noexcept;
  // In which way the tensor is part of a quantized layer that none of these schemes decodes:
  // "GPTQ". Empty when it is part of none.
  std::string_view left_as(const TensorEntry& tensor) const noexcept;
  // How many layers are left, of each of these ways.
  const std::vector<std::pair<std::string_view, std::size_t>>& left() const noexcept {
    return left_;
  }
  // All quantized layers of the file, decoded or not.
  const DialectLayers& dialects() const noexcept { return dialects_; }
  // Entries that speak of all layers that need them. They belong to the first of these.
  std::span<const TensorEntry* const> markers() const noexcept { return markers_; }
  bool is_marker(const TensorEntry& tensor) const noexcept;
  // The file's tensors with each of these layers as the one tensor that it was, for what knows
  // models by names. Borrows from both.
  TensorTable as_before(const TensorTable& file) const;
  // The config.json that describes some of these layers; empty when none does.
  const std::string& config_file() const noexcept { return config_file_; }

  // For schemes.
  std::pmr::memory_resource& memory() noexcept { return *memory_; }
  std::size_t size() const noexcept { return layers_.size(); }
  void add(const StoredLayer& layer);
  void begin(const Scheme& scheme) noexcept { scheme_ = &scheme; }  // the layers to come are its
  void set_markers(std::vector<const TensorEntry*> markers) { markers_ = std::move(markers); }
  // Says more exactly than the table of dialects how a layer that is left is stored.
  void leave(std::string_view layer, std::string_view as) { notes_.emplace_back(layer, as); }
  void set_config_file(std::string path) { config_file_ = std::move(path); }
  // Sorts by the place of the codes, and finds what is left. No more layers after this. Throws
  // CheckpointFault (kLayerName) where a layer has the name of another one or of a tensor that
  // stays.
  void seal(const Checkpoint& file);

 private:
  bool has_layer(std::string_view name) const noexcept;
  std::string_view way_of(const DialectLayer& layer) const noexcept;

  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_;
  std::size_t most_;  // layers that there may be
  const Scheme* scheme_ = nullptr;
  std::vector<const TensorEntry*> markers_;
  std::vector<StoredLayer> layers_;
  std::vector<std::uint32_t> owners_;    // of each tensor, an index of layers_
  std::vector<std::string_view> names_;  // sorted
  DialectLayers dialects_;
  std::vector<std::pair<std::string_view, std::string_view>> notes_;  // layer and way, sorted
  std::vector<std::pair<std::string_view, std::size_t>> left_;
  std::string config_file_;
};

// All of them, of every scheme. Reads their descriptions, not their data, and where these are not
// in the file the config.json beside it. Throws CheckpointFault.
StoredLayers find_stored_layers(const Checkpoint& file);

// The plan of each layer, without tiles.
Plan plan_stored_layers(std::span<const StoredLayer> layers);

}  // namespace quarrow
