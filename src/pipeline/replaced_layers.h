// SPDX-License-Identifier: Apache-2.0
//
// The quantized layers of a source that are decoded, so that the new file has none of their
// entries.
#pragma once

#include <vector>

#include "quarrow/core/executor.h"
#include "quarrow/layouts/stored_layer.h"

namespace quarrow {

class ReplacedLayers {
 public:
  explicit ReplacedLayers(const StoredLayers& stored) : stored_(stored) {}

  // Says anew which they are.
  void find(FunctionRef<bool(const StoredLayer&)> is_decoded);

  bool has(const DialectLayer& layer) const noexcept;
  // Whether all layers are among them that need the markers of old files; a layer that is left
  // would not be known without.
  bool have_all_marked() const noexcept { return all_marked_; }
  // The dialect of the quantized layer that a tensor is a part of; null where there is none in the
  // new file.
  const Dialect* dialect_of(const TensorEntry& tensor) const noexcept;

 private:
  const StoredLayers& stored_;
  std::vector<const DialectLayer*> layers_;  // sorted
  bool all_marked_ = true;
};

}  // namespace quarrow
