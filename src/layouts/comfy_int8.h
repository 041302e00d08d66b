// SPDX-License-Identifier: Apache-2.0
//
// int8_rowwise as ComfyUI loads it from safetensors. For a layer L of [o, i], after its loader
// (comfy/ops.py, comfy_kitchen's TensorWiseINT8Layout):
//   L.weight        I8  [o, i]  codes
//   L.weight_scale  F32 [o, 1]  scales; in files of others also [] or [1], one for the tensor
//   L.comfy_quant   U8  [n]     JSON that names the scheme
// The shape of the scales decides. ComfyUI itself writes {"format": "int8_tensorwise"} and no more;
// convert_to_quant and this project also write "per_row" and "orig_dtype", which ComfyUI ignores.
// Instead of the last tensor, the metadata may have "_quantization_metadata": {"layers": {L:
// JSON}}.
#pragma once

#include <string_view>

#include "quarrow/layouts/layout.h"

namespace quarrow {

extern const Scheme kComfyInt8Scheme;

inline constexpr std::string_view kComfyScale = ".weight_scale";
inline constexpr std::string_view kComfyQuant = ".comfy_quant";
inline constexpr std::string_view kComfyMetadata = "_quantization_metadata";

void decode_comfy_int8(const Checkpoint& file, StoredLayers& layers);

}  // namespace quarrow
