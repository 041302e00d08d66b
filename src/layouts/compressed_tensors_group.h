// SPDX-License-Identifier: Apache-2.0
//
// A group of a quantization_config: how its layers are stored.
#pragma once

#include <string>

#include "layouts/json_value.h"
#include "quarrow/layouts/stored_layer.h"
#include "quarrow/quantize/format.h"

namespace quarrow::compressed_tensors {

struct Group {
  const Storage* storage = nullptr;  // null when the engine does not know the format
  Format format;
  bool packed = false;    // several codes to a word, else a byte a code
  bool by_class = false;  // it has targets that name no layer
};

// `format` is that of the group or of the whole configuration. Throws as throw_config_fault().
Group read_group(const JsonValue& group, const std::string& format, const std::string& source);

// CheckpointFault (kLayerDescription) of the file that has the configuration.
[[noreturn]] void throw_config_fault(const std::string& source, std::string detail);

}  // namespace quarrow::compressed_tensors
