// SPDX-License-Identifier: Apache-2.0
//
// For a layer L of [o, i], after ComfyUI's loader (comfy/ops.py, comfy_kitchen's
// TensorWiseINT8Layout with per_row) and convert_to_quant's files:
//   L.weight        I8  [o, i]  codes
//   L.weight_scale  F32 [o, 1]  scales
//   L.comfy_quant   U8  [n]     JSON that names the scheme and the dtype to compute in
#include "layouts/comfy_int8.h"

#include <array>

#include "layouts/layer_names.h"

namespace quarrow {
namespace {

constexpr std::string_view kScale = ".weight_scale";
constexpr std::string_view kQuant = ".comfy_quant";
// The scale of a file of ComfyUI's older scheme.
constexpr std::string_view kOldScale = ".scale_weight";

std::string_view description(StoredDType dtype) {
  switch (dtype) {
    case StoredDType::kF16:
      return R"({"format": "int8_tensorwise", "orig_dtype": "torch.float16", "per_row": true})";
    case StoredDType::kBF16:
      return R"({"format": "int8_tensorwise", "orig_dtype": "torch.bfloat16", "per_row": true})";
    case StoredDType::kF64:
      return R"({"format": "int8_tensorwise", "orig_dtype": "torch.float64", "per_row": true})";
    default:
      return R"({"format": "int8_tensorwise", "orig_dtype": "torch.float32", "per_row": true})";
  }
}

}  // namespace

StayReason comfy_int8_stay_reason(const TensorEntry& tensor, const TensorTable& file,
                                  const Format& /*format*/) {
  const bool is_weight = tensor.name.ends_with(kWeightSuffix);
  const auto has = [&](std::string_view suffix) {
    return has_entry(file, layer_of(tensor.name), suffix);
  };
  if (!float_dtype(tensor.dtype)) {
    const bool stored_codes = is_weight && (has(kQuant) || has(kScale) || has(kOldScale));
    return stored_codes ? StayReason::kAlreadyQuantized : StayReason::kNotFloat;
  }
  if (tensor.shape.size() < 2) return StayReason::kNotMatrix;
  if (!is_weight) return StayReason::kNotWeight;
  if (tensor.shape.size() > 2) return StayReason::kConvolution;
  if (tensor.bytes() == 0) return StayReason::kEmpty;
  if (has(kQuant) || has(kScale)) return StayReason::kNameTaken;
  return StayReason::kNone;
}

std::vector<EncodedEntry> comfy_int8_encode(const LayerToEncode& job,
                                            std::pmr::memory_resource& memory) {
  const TensorEntry& tensor = *job.tensor;
  const std::string_view layer = layer_of(tensor.name);
  const std::string_view text = description(tensor.dtype);
  const std::array<std::uint64_t, 2> scale_shape = {tensor.shape[0], 1};
  const std::array<std::uint64_t, 1> text_shape = {text.size()};
  return {
      {tensor.name, tensor.shape, StoredDType::kI8, Payload::kCodes, {}},
      {joined(layer, kScale, memory),
       keep(scale_shape, memory),
       StoredDType::kF32,
       Payload::kScales,
       {}},
      {joined(layer, kQuant, memory), keep(text_shape, memory), StoredDType::kU8,
       Payload::kConstant, text},
  };
}

}  // namespace quarrow
