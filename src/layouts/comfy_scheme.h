// SPDX-License-Identifier: Apache-2.0
//
// Layers as ComfyUI loads them from safetensors. For a layer L of [o, i], after its loader
// (comfy/ops.py, and the layouts of comfy_kitchen):
//   L.weight        codes   [o, i]  I8, F8_E4M3, F8_E5M2
//   L.weight_scale  scales  F32     [o, 1] of rows, [] of the tensor
//   L.comfy_quant   U8      [n]     JSON that names the scheme
// For int8 the shape of the scales decides, and files of others have [1] too. ComfyUI itself writes
// {"format": "int8_tensorwise"} and no more; convert_to_quant and this project also write "per_row"
// and "orig_dtype", which ComfyUI ignores. Instead of the last tensor, the metadata may have
// "_quantization_metadata": {"layers": {L: JSON}}.
//
// Older files (convert_old_quants in comfy/utils.py), which are read and not written, have FP8
// codes in L.weight, their scale in L.scale_weight, perhaps one of activations in L.scale_input,
// and one tensor `scaled_fp8` for the model.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "quarrow/layouts/layout.h"

namespace quarrow {

extern const Scheme kComfyScheme;

inline constexpr std::string_view kComfyScale = ".weight_scale";
inline constexpr std::string_view kComfyQuant = ".comfy_quant";
inline constexpr std::string_view kComfyMetadata = "_quantization_metadata";
inline constexpr std::string_view kComfyOldScale = ".scale_weight";

inline constexpr std::array kComfyDTypes = {
    std::pair<std::string_view, ElementType>{"torch.float16", ElementType::kF16},
    std::pair<std::string_view, ElementType>{"torch.bfloat16", ElementType::kBF16},
    std::pair<std::string_view, ElementType>{"torch.float32", ElementType::kF32},
    std::pair<std::string_view, ElementType>{"torch.float64", ElementType::kF64},
};

// How one of our formats lies there.
struct ComfyFormat {
  std::string_view format;  // ours
  std::string_view name;    // in ComfyUI's registry (QUANT_ALGOS)
  ElementType codes;
  Role scale;                  // kScales: one a row; kTensorScale
  std::string_view more = {};  // of the description, members after orig_dtype
};
std::span<const ComfyFormat> comfy_formats() noexcept;

void decode_comfy(const Checkpoint& file, StoredLayers& layers);

}  // namespace quarrow
