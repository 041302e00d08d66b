// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a file's metadata when its tensors change: keys that describe layers follow these
// layers, and what was said of the old bytes is not said of the new ones.
#pragma once

#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "quarrow/containers/checkpoint.h"
#include "quarrow/containers/container.h"
#include "quarrow/layouts/dialect.h"

namespace quarrow {

struct ChangedTensors {
  // "L.weight" of each layer that is quantized or restored.
  std::vector<std::string_view> layers;
  bool any = false;  // whether any tensor has other bytes than before, be it only of another type
};

// The metadata without what is no longer true. Texts that are put together lie in `memory`.
std::optional<TensorTable::Metadata> metadata_after(const Checkpoint& source,
                                                    const DialectLayers& dialects,
                                                    ChangedTensors changed,
                                                    std::pmr::memory_resource& memory);

// Metadata that is not that of the source becomes what readers of the new file's container expect.
// `model`: the source's tensors by the names of the model. Texts that are made lie in `memory`.
// Throws ContainerFault.
void complete_metadata(const Checkpoint& source, const TensorTable& model,
                       const ContainerSpec& container,
                       std::optional<TensorTable::Metadata>& metadata,
                       std::pmr::memory_resource& memory);

// Throws CheckpointFault (kMetadataConflict) where shards describe their layers in different ways
// that cannot be joined.
void check_descriptions(const Checkpoint& source);

}  // namespace quarrow
