// SPDX-License-Identifier: Apache-2.0
#include "quarrow/layouts/stored_layer.h"

#include <algorithm>
#include <limits>
#include <string>

#include "layouts/layer_names.h"
#include "quarrow/containers/checkpoint_fault.h"
#include "quarrow/layouts/file_metadata.h"
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
  for_each_entry([&bytes](const TensorEntry& entry) { bytes += entry.bytes(); });
  return bytes;
}

TensorEntry StoredLayer::as_before() const noexcept {
  bool partial_byte = false;
  // Whoever found the layer has seen that it has a size.
  const std::uint64_t bytes = *tensor_bytes(dtype, shape, partial_byte);
  return {.name = name, .shape = shape, .dtype = dtype, .file = codes()->file, .end = bytes};
}

StoredLayers::StoredLayers(const TensorTable& file)
    : memory_(std::make_unique<std::pmr::monotonic_buffer_resource>()),
      most_(file.size()),
      dialects_(file) {}

void StoredLayers::add(const StoredLayer& layer) {
  // Pages that are not used are never touched; growing would hold two copies.
  if (layers_.empty()) layers_.reserve(most_);
  layers_.push_back(layer);
  layers_.back().scheme = scheme_;
}

bool StoredLayers::is_marker(const TensorEntry& tensor) const noexcept {
  return std::ranges::find(markers_, &tensor) != markers_.end();
}

TensorTable StoredLayers::as_before(const TensorTable& file) const {
  TensorTable before;
  before.reserve(file.size());
  for (std::size_t index = 0; index < file.size(); ++index) {
    const TensorEntry& entry = file[index];
    const StoredLayer* layer = owner(index);
    if (layer == nullptr) {
      before.add(entry);
    } else if (layer->codes() == &entry) {
      before.add(layer->as_before());
    }
  }
  before.seal();
  return before;
}

const StoredLayer* StoredLayers::owner(std::size_t tensor) const noexcept {
  return owners_[tensor] == kNoLayer ? nullptr : &layers_[owners_[tensor]];
}

bool StoredLayers::has(std::string_view name) const noexcept {
  return name.ends_with(kWeightSuffix) && has_layer(layer_of(name));
}

std::string_view StoredLayers::left_as(const TensorEntry& tensor) const noexcept {
  const Dialect* dialect = dialects_.of(tensor);
  if (dialect == nullptr) return {};
  const DialectLayer* layer = dialects_.owner(tensor);
  if (layer == nullptr) return dialect->name;
  return has_layer(layer->name) ? std::string_view() : way_of(*layer);
}

bool StoredLayers::has_layer(std::string_view name) const noexcept {
  // "L.weight" is not put together: names are compared where it would stand.
  const auto below = [](std::string_view weight, std::string_view layer) {
    return layer_of(weight) < layer;
  };
  const auto found = std::lower_bound(names_.begin(), names_.end(), name, below);
  return found != names_.end() && layer_of(*found) == name;
}

std::string_view StoredLayers::way_of(const DialectLayer& layer) const noexcept {
  const auto note =
      std::ranges::lower_bound(notes_, layer.name, {}, [](const auto& each) { return each.first; });
  return note != notes_.end() && note->first == layer.name ? note->second : layer.dialect->name;
}

void StoredLayers::seal(const Checkpoint& file) {
  const TensorEntry* first = file.tensors.entries().data();
  names_.reserve(layers_.size());
  for (const StoredLayer& layer : layers_) names_.push_back(layer.name);
  // By layer, which all end alike: "a.weight" stands before "a-b.weight".
  std::ranges::sort(names_, {}, layer_of);
  const auto twice = std::ranges::adjacent_find(names_);
  if (twice != names_.end()) throw_name_taken(file, *twice);
  std::ranges::sort(layers_, {}, &StoredLayer::codes);
  owners_.assign(file.tensors.size(), kNoLayer);
  for (std::uint32_t index = 0; index < layers_.size(); ++index) {
    const StoredLayer& layer = layers_[index];
    const TensorEntry* namesake = file.tensors.find(layer.name);
    if (namesake != nullptr && namesake != layer.codes()) throw_name_taken(file, layer.name);
    layer.for_each_entry([&](const TensorEntry& entry) {
      owners_[static_cast<std::size_t>(&entry - first)] = index;
    });
  }
  const auto marked = std::ranges::find_if(layers_, &StoredLayer::needs_markers);
  if (marked == layers_.end()) markers_.clear();
  for (const TensorEntry* marker : markers_) {
    owners_[static_cast<std::size_t>(marker - first)] =
        static_cast<std::uint32_t>(marked - layers_.begin());
  }
  std::ranges::sort(notes_);
  for (const DialectLayer& layer : dialects_.layers()) {
    if (has_layer(layer.name)) continue;
    const std::string_view way = way_of(layer);
    const auto known = std::ranges::find(left_, way, [](const auto& each) { return each.first; });
    if (known == left_.end()) {
      left_.emplace_back(way, 1);
    } else {
      ++known->second;
    }
  }
}

StoredLayers find_stored_layers(const Checkpoint& file) {
  check_descriptions(file);
  StoredLayers layers(file.tensors);
  std::vector<const Scheme*> asked;
  for (const Layout& layout : layouts()) {
    if (std::ranges::find(asked, layout.scheme) != asked.end()) continue;
    asked.push_back(layout.scheme);
    layers.begin(*layout.scheme);
    layout.scheme->decode(file, layers);
  }
  layers.seal(file);
  return layers;
}

Plan plan_stored_layers(std::span<const StoredLayer> layers) {
  Plan plan;
  plan.layers.reserve(layers.size());
  for (const StoredLayer& layer : layers) {
    LayerRequest request;
    request.view.dtype = *float_dtype(layer.dtype);
    request.view.rows = layer.shape[0];
    request.view.cols = 1;
    for (const std::uint64_t dimension : layer.shape.subspan(1)) request.view.cols *= dimension;
    request.format = layer.format;
    add_layer(plan, request);
    plan.layers.back().unsigned_codes = layer.storage->unsigned_codes;
  }
  return plan;
}

}  // namespace quarrow
