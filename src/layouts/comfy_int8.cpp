// SPDX-License-Identifier: Apache-2.0
//
#include "layouts/comfy_int8.h"

#include <algorithm>
#include <array>

#include "layouts/layer_names.h"

namespace quarrow {
namespace {

constexpr std::array kDescriptions = {
    std::pair{ElementType::kF16,
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.float16", "per_row": true})"},
    std::pair{ElementType::kBF16,
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.bfloat16", "per_row": true})"},
    std::pair{ElementType::kF64,
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.float64", "per_row": true})"},
    std::pair{ElementType::kF32,
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.float32", "per_row": true})"},
};

StayReason stay_reason(const TensorEntry& tensor, const TensorTable& file,
                       const Format& /*format*/) {
  const bool is_weight = tensor.name.ends_with(kWeightSuffix);
  const auto has = [&](std::string_view suffix) {
    return has_entry(file, layer_of(tensor.name), suffix);
  };
  if (!float_dtype(tensor.dtype)) return no_float_reason(tensor.dtype);
  if (tensor.shape.size() < 2) return StayReason::kNotMatrix;
  if (!is_weight) return StayReason::kNotWeight;
  if (tensor.shape.size() > 2) return StayReason::kConvolution;
  if (tensor.bytes() == 0) return StayReason::kEmpty;
  if (has(kComfyQuant) || has(kComfyScale)) return StayReason::kNameTaken;
  return StayReason::kNone;
}

std::vector<EncodedEntry> encode(const LayerToEncode& job, std::pmr::memory_resource& memory) {
  const TensorEntry& tensor = *job.tensor;
  const std::string_view layer = layer_of(tensor.name);
  const std::string_view text =
      std::ranges::find(kDescriptions, tensor.dtype, [](const auto& each) {
        return each.first;
      })->second;
  const std::array<std::uint64_t, 2> scale_shape = {tensor.shape[0], 1};
  const std::array<std::uint64_t, 1> text_shape = {text.size()};
  return {
      {tensor.name, tensor.shape, ElementType::kI8, Role::kCodes, {}},
      {joined(layer, kComfyScale, memory),
       keep(scale_shape, memory),
       ElementType::kF32,
       Role::kScales,
       {}},
      {joined(layer, kComfyQuant, memory), keep(text_shape, memory), ElementType::kU8, std::nullopt,
       text},
  };
}

}  // namespace

const Scheme kComfyInt8Scheme{stay_reason,       encode,        nullptr, decode_comfy_int8,
                              Runtime::kComfyUi, kReaderComfyUi};

}  // namespace quarrow
