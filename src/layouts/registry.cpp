// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "layouts/comfy_scheme.h"
#include "layouts/compressed_tensors.h"
#include "layouts/ggml_scheme.h"
#include "layouts/packing.h"
#include "layouts/plain_float8.h"
#include "quarrow/layouts/layout.h"

namespace quarrow {
namespace {

constexpr Layout compressed_tensors(std::string_view format) {
  Layout layout{format, Container::kSafetensors, &kCompressedTensorsScheme, {}};
  layout.storage.unsigned_codes = true;
  layout.storage.parts[Role::kCodes].row_alignment = 4;
  layout.storage.parts[Role::kZeroPoints].packing = &kWordsDownColumns;
  return layout;
}

bool is_scaled(const Format& format) { return format.scaled; }
bool is_cast(const Format& format) { return !format.scaled; }

constexpr std::array kLayouts = {
    compressed_tensors("int8"),
    compressed_tensors("int4"),
    compressed_tensors("int2"),
    Layout{"int8_rowwise", Container::kSafetensors, &kComfyScheme, {}},
    Layout{"fp8_e4m3", Container::kSafetensors, &kComfyScheme, {}, is_scaled},
    Layout{"fp8_e4m3", Container::kSafetensors, &kPlainFloat8Scheme, {}, is_cast},
    Layout{"fp8_e5m2", Container::kSafetensors, &kComfyScheme, {}, is_scaled},
    Layout{"fp8_e5m2", Container::kSafetensors, &kPlainFloat8Scheme, {}, is_cast},
    Layout{"q8_0", Container::kGguf, &kGgmlScheme, {}},
    Layout{"q5_1", Container::kGguf, &kGgmlScheme, {}},
    Layout{"q5_0", Container::kGguf, &kGgmlScheme, {}},
    Layout{"q4_1", Container::kGguf, &kGgmlScheme, {}},
    Layout{"q4_0", Container::kGguf, &kGgmlScheme, {}},
};

}  // namespace

std::span<const Layout> layouts() noexcept { return kLayouts; }

const Layout* find_layout(const Format& format, Container container) noexcept {
  for (const Layout& layout : kLayouts) {
    const bool fits = layout.format == format.spec->name && layout.container == container;
    if (fits && (layout.takes == nullptr || layout.takes(format))) return &layout;
  }
  return nullptr;
}

std::string_view name_of(Runtime runtime) noexcept {
  return runtime == Runtime::kComfyUi ? "comfyui" : "none";
}

std::optional<Runtime> find_runtime(std::string_view name) noexcept {
  for (const Runtime runtime : {Runtime::kNone, Runtime::kComfyUi}) {
    if (name == name_of(runtime)) return runtime;
  }
  return std::nullopt;
}

std::string_view name_of(StayReason reason) noexcept {
  switch (reason) {
    case StayReason::kNone:
      return "none";
    case StayReason::kRule:
      return "rule";
    case StayReason::kNotFloat:
      return "not_float";
    case StayReason::kGgmlBlock:
      return "ggml_block";
    case StayReason::kNarrowFloat:
      return "narrow_float";
    case StayReason::kAlreadyQuantized:
      return "already_quantized";
    case StayReason::kNotDecoded:
      return "not_decoded";
    case StayReason::kConfigTaken:
      return "config_taken";
    case StayReason::kNotWeight:
      return "not_weight";
    case StayReason::kNotMatrix:
      return "not_matrix";
    case StayReason::kConvolution:
      return "convolution";
    case StayReason::kEmpty:
      return "empty";
    case StayReason::kNameTaken:
      return "name_taken";
    case StayReason::kShortGroup:
      return "short_group";
    case StayReason::kPartialBlock:
      return "partial_block";
    case StayReason::kManyDimensions:
      return "many_dimensions";
    case StayReason::kTensorScale:
      return "tensor_scale";
    case StayReason::kReshaped:
      return "reshaped";
    case StayReason::kFewRows:
      return "few_rows";
    case StayReason::kNorm:
      return "norm";
    case StayReason::kEmbedding:
      return "embedding";
    case StayReason::kModelEdge:
      return "model_edge";
    case StayReason::kSmall:
      return "small";
    case StayReason::kComfyControl:
      return "comfyui_control";
    case StayReason::kComfyDiffusersNames:
      return "comfyui_diffusers_names";
    case StayReason::kComfyTextEncoder:
      return "comfyui_text_encoder";
    case StayReason::kComfyVae:
      return "comfyui_vae";
    case StayReason::kComfyOther:
      return "comfyui_other";
    case StayReason::kComfyChanged:
      return "comfyui_changed";
  }
  return "unknown";
}

}  // namespace quarrow
