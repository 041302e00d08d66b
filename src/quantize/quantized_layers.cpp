// SPDX-License-Identifier: Apache-2.0
#include "quarrow/quantize/quantized_layers.h"

#include <utility>

namespace quarrow {

std::span<const std::byte> QuantizedLayers::part(std::size_t layer, Role role) const {
  const std::uint64_t bytes = plan.layers.at(layer).encoding.bytes_of(role);
  return {memory.spans()[layer][role], bytes};
}

std::span<const std::uint8_t> QuantizedLayers::codes(std::size_t layer) const {
  return elements<std::uint8_t>(layer, Role::kCodes);
}

std::span<const float> QuantizedLayers::scales(std::size_t layer) const {
  return elements<float>(layer, Role::kScales);
}

std::span<const std::uint8_t> QuantizedLayers::zero_points(std::size_t layer) const {
  return elements<std::uint8_t>(layer, Role::kZeroPoints);
}

std::vector<QuantizedView> QuantizedLayers::views() const {
  std::vector<QuantizedView> views;
  views.reserve(size());
  for (const QuantizedSpan& span : memory.spans()) views.push_back(view_of(span));
  return views;
}

QuantizedLayers allocate_layers(Plan plan, std::uint64_t own_from) {
  QuantizedLayers layers;
  layers.memory = LayerMemory(plan, own_from);
  cut_tiles(plan);
  layers.statuses.resize(plan.layers.size());
  layers.plan = std::move(plan);
  return layers;
}

Status quantize(QuantizedLayers& layers, std::span<const TensorView> inputs, NonFinitePolicy policy,
                const Context& context, LayerProgress* progress) {
  layers.status = quantize(layers.plan, inputs, layers.memory.spans(), policy, context,
                           layers.statuses, progress);
  return layers.status;
}

namespace {

// Whether there was a job: a layer that fails, or who stopped it, does not undo that.
bool ran(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::kOk:
    case StatusCode::kNonFinite:
    case StatusCode::kBeyondF32:
    case StatusCode::kRangeOverflow:
    case StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

}  // namespace

QuantizedLayers quantize_layers(std::span<const LayerRequest> requests, const Context& context,
                                const QuantizeOptions& options) {
  std::vector<TensorView> views;
  views.reserve(requests.size());
  for (const LayerRequest& request : requests) views.push_back(request.view);
  try {
    QuantizedLayers layers = allocate_layers(plan_layers(requests), options.own_from);
    quantize(layers, views, options.policy, context, options.progress);
    if (!ran(layers.status.code)) throw StatusError(layers.status);
    return layers;
  } catch (const StatusError& error) {
    QuantizedLayers none;
    none.status = error.status();
    return none;
  }
}

}  // namespace quarrow
