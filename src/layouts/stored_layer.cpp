// SPDX-License-Identifier: Apache-2.0
#include "quarrow/layouts/stored_layer.h"

#include <algorithm>
#include <limits>
#include <string>

#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

constexpr std::uint32_t kNoLayer = std::numeric_limits<std::uint32_t>::max();

[[noreturn]] void throw_name_taken(const Checkpoint& file, std::string_view name) {
  CheckpointFault fault(FileRule::kLayerName, file.path);
  fault.tensor = std::string(name);
  throw fault;
}

}  // namespace

std::uint64_t StoredLayer::bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const TensorEntry* entry : entries()) bytes += entry == nullptr ? 0 : entry->bytes();
  return bytes;
}

StoredLayers::StoredLayers() : memory_(std::make_unique<std::pmr::monotonic_buffer_resource>()) {}

const StoredLayer* StoredLayers::owner(std::size_t tensor) const noexcept {
  return owners_[tensor] == kNoLayer ? nullptr : &layers_[owners_[tensor]];
}

bool StoredLayers::has(std::string_view name) const noexcept {
  return std::ranges::binary_search(names_, name);
}

bool StoredLayers::describes_layers(std::string_view key) const noexcept {
  return std::ranges::find(keys_, key) != keys_.end();
}

void StoredLayers::seal(const Checkpoint& file) {
  const TensorEntry* first = file.tensors.entries().data();
  for (const StoredLayer& layer : layers_) names_.push_back(layer.name);
  std::ranges::sort(names_);
  const auto twice = std::ranges::adjacent_find(names_);
  if (twice != names_.end()) throw_name_taken(file, *twice);
  std::ranges::sort(layers_, {}, &StoredLayer::codes);
  owners_.assign(file.tensors.size(), kNoLayer);
  for (std::uint32_t index = 0; index < layers_.size(); ++index) {
    const StoredLayer& layer = layers_[index];
    const TensorEntry* namesake = file.tensors.find(layer.name);
    if (namesake != nullptr && namesake != layer.codes) throw_name_taken(file, layer.name);
    for (const TensorEntry* entry : layer.entries()) {
      if (entry != nullptr) owners_[static_cast<std::size_t>(entry - first)] = index;
    }
  }
}

StoredLayers find_stored_layers(const Checkpoint& file) {
  StoredLayers layers;
  std::vector<const Scheme*> asked;
  for (const Layout& layout : layouts()) {
    if (std::ranges::find(asked, layout.scheme) != asked.end()) continue;
    asked.push_back(layout.scheme);
    layout.scheme->decode(file, layers);
  }
  layers.seal(file);
  return layers;
}

Plan plan_stored_layers(std::span<const StoredLayer> layers) {
  std::vector<LayerRequest> requests;
  requests.reserve(layers.size());
  for (const StoredLayer& layer : layers) {
    LayerRequest request;
    request.view.dtype = *float_dtype(layer.dtype);
    request.view.rows = layer.shape[0];
    request.view.cols = 1;
    for (const std::uint64_t dimension : layer.shape.subspan(1)) request.view.cols *= dimension;
    request.format = layer.format;
    requests.push_back(request);
  }
  Plan plan = plan_layers(requests);
  for (std::size_t index = 0; index < layers.size(); ++index) {
    plan.layers[index].unsigned_codes = layers[index].storage->unsigned_codes;
  }
  return plan;
}

}  // namespace quarrow
