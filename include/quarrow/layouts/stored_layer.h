// SPDX-License-Identifier: Apache-2.0
//
// Quantized tensors that lie in files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/quantize/format.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

inline constexpr std::uint64_t kMaxRowAlignment = 4;

// How the outputs of a format lie in their entries. Scales have the dtype of their entry, zero
// points are packed down the columns, into words of 32 bits.
struct Storage {
  std::uint64_t row_alignment = 1;  // rows of codes fill multiples of so many bytes, at most 4
  bool unsigned_codes = false;      // symmetric codes plus half of the codes
};

// A tensor that a file holds quantized. Borrows from the checkpoint, the registry of layouts and
// StoredLayers.
struct StoredLayer {
  std::string_view name;                  // of the tensor that it was: "L.weight"
  std::span<const std::uint64_t> shape;   // as it was: at least two dimensions, rows first
  StoredDType dtype = StoredDType::kF32;  // as it was: f16, bf16, f32 or f64
  Format format;
  const Storage* storage = nullptr;
  // Entries of the file. Their dtypes and shapes fit the format's geometry.
  const TensorEntry* codes = nullptr;
  const TensorEntry* scales = nullptr;
  const TensorEntry* zero_points = nullptr;  // null when the format has none
  const TensorEntry* description = nullptr;  // null when the scheme has none

  std::array<const TensorEntry*, 4> entries() const noexcept {
    return {codes, scales, zero_points, description};
  }
  std::uint64_t bytes() const noexcept;  // of all entries
};

// The quantized tensors of a checkpoint. Borrows from it; what it hands out stays valid as long as
// both live. Movable.
class StoredLayers {
 public:
  StoredLayers();

  std::span<const StoredLayer> layers() const noexcept { return layers_; }
  // The layer that tensor number `tensor` of the file is a part of; null when it is none.
  const StoredLayer* owner(std::size_t tensor) const noexcept;
  // Whether one of them was the tensor `name`.
  bool has(std::string_view name) const noexcept;
  // Whether that key of the file's metadata describes these layers, and nothing else.
  bool describes_layers(std::string_view key) const noexcept;

  // For schemes.
  std::pmr::memory_resource& memory() noexcept { return *memory_; }
  void add(const StoredLayer& layer) { layers_.push_back(layer); }
  void add_key(std::string_view key) { keys_.push_back(key); }
  // Sorts by the place of the codes. No more layers after this. Throws CheckpointFault
  // (kLayerName) where a layer has the name of another one or of a tensor that stays.
  void seal(const Checkpoint& file);

 private:
  std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_;
  std::vector<StoredLayer> layers_;
  std::vector<std::string_view> keys_;
  std::vector<std::uint32_t> owners_;    // of each tensor, an index of layers_
  std::vector<std::string_view> names_;  // sorted
};

// All of them, of every scheme. Reads their descriptions, not their data. Throws CheckpointFault.
StoredLayers find_stored_layers(const Checkpoint& file);

// The plan of each layer, without tiles.
Plan plan_stored_layers(std::span<const StoredLayer> layers);

}  // namespace quarrow
