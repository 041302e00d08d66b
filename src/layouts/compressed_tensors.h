// SPDX-License-Identifier: Apache-2.0
//
// int8, int4 and int2 as compressed-tensors stores them in safetensors (its format pack-quantized).
#pragma once

#include "quarrow/layouts/layout.h"

namespace quarrow {

StayReason compressed_tensors_stay_reason(const TensorEntry& tensor, const TensorTable& file,
                                          const Format& format);
std::vector<EncodedEntry> compressed_tensors_encode(const LayerToEncode& layer,
                                                    std::pmr::memory_resource& memory);
void compressed_tensors_describe(std::span<const LayerToEncode> layers,
                                 std::pmr::memory_resource& memory,
                                 TensorTable::Metadata& metadata);

}  // namespace quarrow
