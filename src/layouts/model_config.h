// SPDX-License-Identifier: Apache-2.0
//
// What the config.json beside a checkpoint says of its quantized layers: transformers and diffusers
// keep it there, not in the metadata of files.
#pragma once

#include <optional>
#include <string>

#include "layouts/json_value.h"
#include "quarrow/containers/checkpoint.h"

namespace quarrow {

struct ModelConfig {
  std::string path;        // of the config.json
  JsonValue quantization;  // its quantization_config, an object
};

// Nothing when there is no such file, none that can be read, or no such entry in it. Throws
// CheckpointFault (kLayerDescription) when it is no JSON object, or holds more than is read.
std::optional<ModelConfig> read_model_config(const Checkpoint& checkpoint);

}  // namespace quarrow
