// SPDX-License-Identifier: Apache-2.0
#include "pipeline/replaced_layers.h"

#include <algorithm>

namespace quarrow {

void ReplacedLayers::find(FunctionRef<bool(const StoredLayer&)> is_decoded) {
  layers_.clear();
  layers_.reserve(stored_.layers().size());
  all_marked_ = true;
  for (const StoredLayer& layer : stored_.layers()) {
    if (is_decoded(layer)) {
      layers_.push_back(stored_.dialects().owner(*layer.codes()));
    } else if (layer.needs_markers) {
      all_marked_ = false;
    }
  }
  std::ranges::sort(layers_);
}

bool ReplacedLayers::has(const DialectLayer& layer) const noexcept {
  return std::ranges::binary_search(layers_, &layer);
}

const Dialect* ReplacedLayers::dialect_of(const TensorEntry& tensor) const noexcept {
  const DialectLayer* owner = layers_.empty() ? nullptr : stored_.dialects().owner(tensor);
  return owner != nullptr && has(*owner) ? nullptr : stored_.dialects().of(tensor);
}

}  // namespace quarrow
