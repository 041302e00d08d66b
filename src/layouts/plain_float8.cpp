// SPDX-License-Identifier: Apache-2.0
#include "layouts/plain_float8.h"

#include <algorithm>
#include <array>

#include "layouts/layer_names.h"
#include "layouts/usual_dtype.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow {
namespace {

constexpr Storage kStorage;

constexpr std::array<std::pair<ElementType, std::string_view>, 2> kFormats = {{
    {ElementType::kF8E4M3, "fp8_e4m3"},
    {ElementType::kF8E5M2, "fp8_e5m2"},
}};

// With one of these beside it a cast weight would be taken for a scaled one.
constexpr std::array<std::string_view, 4> kScales = {".weight_scale", ".scale_weight",
                                                     ".weight_scale_inv", ".comfy_quant"};

StayReason stay_reason(const TensorEntry& tensor, const Neighbours& beside,
                       const Format& /*format*/) {
  if (!float_dtype(tensor.dtype)) return no_float_reason(tensor.dtype);
  if (tensor.shape.size() < 2) return StayReason::kNotMatrix;
  if (!tensor.name.ends_with(kWeightSuffix)) return StayReason::kNotWeight;
  if (tensor.shape.size() > kMaxDimensions) return StayReason::kManyDimensions;
  if (tensor.bytes() == 0) return StayReason::kEmpty;
  const bool has_scale =
      std::ranges::any_of(kScales, [&](std::string_view suffix) { return beside.have(suffix); });
  return has_scale ? StayReason::kNameTaken : StayReason::kNone;
}

std::vector<EncodedEntry> encode(const LayerToEncode& job, std::pmr::memory_resource& /*memory*/) {
  const auto* const found = std::ranges::find(kFormats, job.format->spec->name,
                                              [](const auto& each) { return each.second; });
  return {{job.tensor->name, job.tensor->shape, found->first, Role::kCodes, {}}};
}

void decode(const Checkpoint& file, StoredLayers& layers) {
  const auto format_of = [](const TensorEntry& tensor) {
    return std::ranges::find(kFormats, tensor.dtype, [](const auto& each) { return each.first; });
  };
  const auto is_candidate = [&](const TensorEntry& tensor) {
    return format_of(tensor) != kFormats.end() && tensor.shape.size() >= 2 &&
           tensor.shape.size() <= kMaxDimensions && tensor.name.ends_with(kWeightSuffix);
  };
  if (std::ranges::none_of(file.tensors.entries(), is_candidate)) return;
  UsualDType usual(file);
  for (const TensorEntry& tensor : file.tensors.entries()) {
    if (!is_candidate(tensor) || layers.dialects().of(tensor) != &kPlainFloat8Dialect) continue;
    Format format = default_format(*find_format(format_of(tensor)->second));
    format.scaled = false;
    add_codes_alone(tensor, format, kStorage, usual, layers);
  }
}

}  // namespace

const Scheme kPlainFloat8Scheme{stay_reason, encode, nullptr, decode, Runtime::kNone, {}};

}  // namespace quarrow
