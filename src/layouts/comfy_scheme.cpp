// SPDX-License-Identifier: Apache-2.0
#include "layouts/comfy_scheme.h"

#include <algorithm>
#include <array>

#include "layouts/layer_names.h"

namespace quarrow {
namespace {

constexpr std::array kFormats = {
    ComfyFormat{"int8_rowwise", "int8_tensorwise", ElementType::kI8, Role::kScales,
                R"(, "per_row": true)"},
    ComfyFormat{"fp8_e4m3", "float8_e4m3fn", ElementType::kF8E4M3, Role::kTensorScale},
    ComfyFormat{"fp8_e5m2", "float8_e5m2", ElementType::kF8E5M2, Role::kTensorScale},
};

// The JSON of a format and a dtype, made once for all.
struct Description {
  std::array<char, 96> bytes = {};
  std::size_t size = 0;

  constexpr void add(std::string_view more) {
    for (const char each : more) bytes.at(size++) = each;
  }
  constexpr std::string_view text() const { return {bytes.data(), size}; }
};

constexpr auto kDescriptions = [] {
  std::array<std::array<Description, kComfyDTypes.size()>, kFormats.size()> all;
  for (std::size_t format = 0; format < kFormats.size(); ++format) {
    for (std::size_t dtype = 0; dtype < kComfyDTypes.size(); ++dtype) {
      Description& each = all[format][dtype];
      each.add(R"({"format": ")");
      each.add(kFormats[format].name);
      each.add(R"(", "orig_dtype": ")");
      each.add(kComfyDTypes[dtype].first);
      each.add("\"");
      each.add(kFormats[format].more);
      each.add("}");
    }
  }
  return all;
}();

std::string_view description(std::size_t format, ElementType dtype) {
  const auto* const found =
      std::ranges::find(kComfyDTypes, dtype, [](const auto& each) { return each.second; });
  return kDescriptions[format][static_cast<std::size_t>(found - kComfyDTypes.begin())].text();
}

StayReason stay_reason(const TensorEntry& tensor, const Neighbours& beside,
                       const Format& /*format*/) {
  const bool is_weight = tensor.name.ends_with(kWeightSuffix);
  if (!float_dtype(tensor.dtype)) return no_float_reason(tensor.dtype);
  if (tensor.shape.size() < 2) return StayReason::kNotMatrix;
  if (!is_weight) return StayReason::kNotWeight;
  if (tensor.shape.size() > 2) return StayReason::kConvolution;
  if (tensor.bytes() == 0) return StayReason::kEmpty;
  if (beside.have(kComfyQuant) || beside.have(kComfyScale)) return StayReason::kNameTaken;
  return StayReason::kNone;
}

std::vector<EncodedEntry> encode(const LayerToEncode& job, std::pmr::memory_resource& memory) {
  const TensorEntry& tensor = *job.tensor;
  const std::string_view layer = layer_of(tensor.name);
  const auto* const found =
      std::ranges::find(kFormats, job.format->spec->name, &ComfyFormat::format);
  const ComfyFormat& format = *found;
  const std::string_view text =
      description(static_cast<std::size_t>(found - kFormats.begin()), tensor.dtype);
  const std::array<std::uint64_t, 2> of_rows = {tensor.shape[0], 1};
  const std::array<std::uint64_t, 1> text_shape = {text.size()};
  return {
      {tensor.name, tensor.shape, format.codes, Role::kCodes, {}},
      {joined(layer, kComfyScale, memory),
       format.scale == Role::kScales ? keep(of_rows, memory) : std::span<const std::uint64_t>(),
       ElementType::kF32,
       format.scale,
       {}},
      {joined(layer, kComfyQuant, memory), keep(text_shape, memory), ElementType::kU8, std::nullopt,
       text},
  };
}

}  // namespace

std::span<const ComfyFormat> comfy_formats() noexcept { return kFormats; }

const Scheme kComfyScheme{stay_reason,       encode,        nullptr, decode_comfy,
                          Runtime::kComfyUi, kReaderComfyUi};

}  // namespace quarrow
