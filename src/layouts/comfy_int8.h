// SPDX-License-Identifier: Apache-2.0
//
// int8_rowwise as ComfyUI stores it in safetensors.
#pragma once

#include "quarrow/layouts/layout.h"

namespace quarrow {

StayReason comfy_int8_stay_reason(const TensorEntry& tensor, const TensorTable& file,
                                  const Format& format);
std::vector<EncodedEntry> comfy_int8_encode(const LayerToEncode& layer,
                                            std::pmr::memory_resource& memory);

}  // namespace quarrow
