// SPDX-License-Identifier: Apache-2.0
#include "layouts/ggml_scheme.h"

#include <algorithm>
#include <array>
#include <utility>

#include "layouts/layer_names.h"
#include "layouts/usual_dtype.h"

namespace quarrow {
namespace {

constexpr Storage kStorage;

constexpr std::array<std::pair<ElementType, std::string_view>, 5> kFormats = {{
    {ElementType::kQ80, "q8_0"},
    {ElementType::kQ51, "q5_1"},
    {ElementType::kQ50, "q5_0"},
    {ElementType::kQ41, "q4_1"},
    {ElementType::kQ40, "q4_0"},
}};

ElementType type_of(const Format& format) {
  const auto is_named = [&](const auto& each) { return each.second == format.spec->name; };
  return std::ranges::find_if(kFormats, is_named)->first;
}

StayReason stay_reason(const TensorEntry& tensor, const TensorTable& /*file*/,
                       const Format& format) {
  if (!float_dtype(tensor.dtype)) return no_float_reason(tensor.dtype);
  if (tensor.shape.size() < 2) return StayReason::kNotMatrix;
  if (!tensor.name.ends_with(kWeightSuffix)) return StayReason::kNotWeight;
  // ComfyUI-GGUF and diffusers replace linear layers; a convolution in blocks loads in neither.
  if (tensor.shape.size() > 2) return StayReason::kConvolution;
  if (tensor.bytes() == 0) return StayReason::kEmpty;
  if (tensor.shape[1] % block_of(type_of(format)).elements != 0) return StayReason::kPartialBlock;
  return StayReason::kNone;
}

std::vector<EncodedEntry> encode(const LayerToEncode& job, std::pmr::memory_resource& /*memory*/) {
  return {{job.tensor->name, job.tensor->shape, type_of(*job.format), Role::kCodes, {}}};
}

void decode(const Checkpoint& file, StoredLayers& layers) {
  UsualDType usual(file);
  for (const TensorEntry& tensor : file.tensors.entries()) {
    const auto is_type = [&](const auto& each) { return each.first == tensor.dtype; };
    const auto* const found = std::ranges::find_if(kFormats, is_type);
    const bool is_layer =
        found != kFormats.end() && tensor.shape.size() >= 2 && tensor.name.ends_with(kWeightSuffix);
    if (!is_layer) continue;
    StoredLayer layer{.name = tensor.name,
                      .shape = tensor.shape,
                      .dtype = usual.of(layer_of(tensor.name)),
                      .format = default_format(*find_format(found->second)),
                      .storage = &kStorage};
    layer.parts[Role::kCodes] = &tensor;
    bool partial_byte = false;
    // What cannot have values stays what it is.
    if (tensor_bytes(layer.dtype, tensor.shape, partial_byte)) layers.add(layer);
  }
}

}  // namespace

const Scheme kGgmlScheme{stay_reason, encode, nullptr, decode, Runtime::kNone, "GGUF's readers"};

}  // namespace quarrow
