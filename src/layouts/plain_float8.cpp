// SPDX-License-Identifier: Apache-2.0
#include "layouts/plain_float8.h"

#include <algorithm>
#include <array>
#include <optional>

#include "layouts/layer_names.h"
#include "layouts/usual_dtype.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow {
namespace {

constexpr Storage kStorage;

ElementType codes_type(const Format& format) {
  return format.spec->encoding(format, 0, 0).codes().type;
}

// Of a cast weight of that type; nothing when it is none of these formats'.
std::optional<Format> format_of(ElementType type) {
  for (const Layout& layout : layouts()) {
    if (layout.scheme != &kPlainFloat8Scheme) continue;
    Format format = default_format(*find_format(layout.format));
    format.scaled = false;
    if (codes_type(format) == type) return format;
  }
  return std::nullopt;
}

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
  return {{job.tensor->name, job.tensor->shape, codes_type(*job.format), Role::kCodes, {}}};
}

void decode(const Checkpoint& file, StoredLayers& layers) {
  const auto is_candidate = [](const TensorEntry& tensor) {
    return is_narrow_float(tensor.dtype) && tensor.shape.size() >= 2 &&
           tensor.shape.size() <= kMaxDimensions && tensor.name.ends_with(kWeightSuffix);
  };
  UsualDType usual(file);
  for (const TensorEntry& tensor : file.tensors.entries()) {
    if (!is_candidate(tensor) || layers.dialects().of(tensor) != &kPlainFloat8Dialect) continue;
    const std::optional<Format> format = format_of(tensor.dtype);
    if (format) add_codes_alone(tensor, *format, kStorage, usual, layers);
  }
}

}  // namespace

const Scheme kPlainFloat8Scheme{stay_reason, encode, nullptr, decode, Runtime::kNone, {}};

}  // namespace quarrow
