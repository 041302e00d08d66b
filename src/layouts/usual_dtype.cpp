// SPDX-License-Identifier: Apache-2.0
#include "layouts/usual_dtype.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "layouts/comfy_scheme.h"
#include "layouts/layer_names.h"

namespace quarrow {

ElementType UsualDType::of(std::string_view layer) {
  // Writers of GGUF make all vectors F32, whatever the model was.
  const auto is_told = [this](const TensorEntry& tensor) {
    const bool is_vector = file_.container == Container::kGguf && tensor.shape.size() < 2;
    return float_dtype(tensor.dtype) && !(is_vector && tensor.dtype == ElementType::kF32);
  };
  const TensorEntry* bias = file_.tensors.find(std::string(layer).append(".bias"));
  if (bias != nullptr && is_told(*bias)) return bias->dtype;
  if (of_file_) return *of_file_;
  std::array<std::pair<std::uint64_t, ElementType>, 3> values = {
      {{0, ElementType::kBF16}, {0, ElementType::kF16}, {0, ElementType::kF32}}};
  for (const TensorEntry& tensor : file_.tensors.entries()) {
    // Numbers by themselves are scales, of activations too.
    const bool is_number = tensor.bytes() == block_of(tensor.dtype).bytes;
    if (is_number || tensor.name.ends_with(kComfyScale) || !is_told(tensor)) continue;
    for (auto& [count, dtype] : values) {
      if (dtype == tensor.dtype) count += tensor.bytes() / block_of(dtype).bytes;
    }
  }
  of_file_ =
      std::ranges::max_element(values, {}, [](const auto& each) { return each.first; })->second;
  return *of_file_;
}

void add_codes_alone(const TensorEntry& codes, const Format& format, const Storage& storage,
                     UsualDType& usual, StoredLayers& layers) {
  StoredLayer layer{.name = codes.name,
                    .shape = codes.shape,
                    .dtype = usual.of(layer_of(codes.name)),
                    .format = format,
                    .storage = &storage};
  layer.parts[Role::kCodes] = &codes;
  bool partial_byte = false;
  if (tensor_bytes(layer.dtype, codes.shape, partial_byte)) layers.add(layer);
}

}  // namespace quarrow
