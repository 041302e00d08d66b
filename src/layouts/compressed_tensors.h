// SPDX-License-Identifier: Apache-2.0
//
// int8, int4 and int2 as compressed-tensors stores them in safetensors (its format pack-quantized),
// after its PackedQuantizationCompressor. For a layer L, a matrix of [o, i] (a convolution with its
// other dimensions flattened), b bits and g groups a row:
//   L.weight_packed      I32 [o, ceil(i * b / 32)]  unsigned codes, the first in the lowest bits
//   L.weight_scale       [o, g]                     in the dtype of the scales
//   L.weight_zero_point  I32 [ceil(o * b / 32), g]  packed down the columns; none when symmetric
//   L.weight_shape       I64 [2]                    o and i
// Others' files may also be int-quantized, L.weight I8 [o, i] with its scales, and hold "tensor"
// scales of one element; these are read, not written.
// In the metadata stands "quantization_config", the JSON that belongs into a model's config.json,
// and "quarrow.layers", ours: the dtype of each layer before, and its shape when it was no matrix.
#pragma once

#include <cstdint>
#include <string_view>

#include "quarrow/layouts/layout.h"

namespace quarrow {

extern const Scheme kCompressedTensorsScheme;

namespace compressed_tensors {

inline constexpr std::string_view kConfig = "quantization_config";
inline constexpr std::string_view kOurs = "quarrow.layers";
inline constexpr std::string_view kPacked = ".weight_packed";
inline constexpr std::string_view kScale = ".weight_scale";
inline constexpr std::string_view kZeroPoint = ".weight_zero_point";
inline constexpr std::string_view kShape = ".weight_shape";

// How many words of 32 bits so many codes take.
constexpr std::uint64_t words(std::uint64_t codes, std::uint64_t bits) noexcept {
  const std::uint64_t per_word = 32 / bits;
  return codes / per_word + (codes % per_word != 0);
}

void decode(const Checkpoint& file, StoredLayers& layers);

}  // namespace compressed_tensors
}  // namespace quarrow
