// SPDX-License-Identifier: Apache-2.0
#include "layouts/ggml_scheme.h"

#include <algorithm>
#include <array>

#include "containers/gguf_container.h"
#include "layouts/layer_names.h"
#include "layouts/usual_dtype.h"
#include "quarrow/core/tensor_view.h"

namespace quarrow {
namespace {

constexpr Storage kStorage;

struct GgmlFormat {
  std::string_view format;
  ElementType type;
  // What llama.h calls a file most of whose tensors are of the type (LLAMA_FTYPE), a U32.
  std::string_view file_type;
};

constexpr std::array kFormats = {
    GgmlFormat{"q8_0", ElementType::kQ80, {"\7\0\0\0", 4}},
    GgmlFormat{"q5_1", ElementType::kQ51, {"\11\0\0\0", 4}},
    GgmlFormat{"q5_0", ElementType::kQ50, {"\10\0\0\0", 4}},
    GgmlFormat{"q4_1", ElementType::kQ41, {"\3\0\0\0", 4}},
    GgmlFormat{"q4_0", ElementType::kQ40, {"\2\0\0\0", 4}},
};
// Of the rules of ggml's blocks (GGML_QNT_VERSION).
constexpr std::string_view kVersion{"\2\0\0\0", 4};

const GgmlFormat& format_of(const Format& format) {
  return *std::ranges::find(kFormats, format.spec->name, &GgmlFormat::format);
}

StayReason stay_reason(const TensorEntry& tensor, const Neighbours& /*beside*/,
                       const Format& format) {
  if (!float_dtype(tensor.dtype)) return no_float_reason(tensor.dtype);
  if (tensor.shape.size() < 2) return StayReason::kNotMatrix;
  if (!tensor.name.ends_with(kWeightSuffix)) return StayReason::kNotWeight;
  // ComfyUI-GGUF and diffusers replace linear layers; a convolution in blocks loads in neither.
  if (tensor.shape.size() > 2) return StayReason::kConvolution;
  if (tensor.bytes() == 0) return StayReason::kEmpty;
  if (tensor.shape[1] % block_of(format_of(format).type).elements != 0)
    return StayReason::kPartialBlock;
  return StayReason::kNone;
}

std::vector<EncodedEntry> encode(const LayerToEncode& job, std::pmr::memory_resource& /*memory*/) {
  return {{job.tensor->name, job.tensor->shape, format_of(*job.format).type, Role::kCodes, {}}};
}

// The type of the first layer stands for the file, as llama.cpp's quantize says it.
void describe(std::span<const LayerToEncode> layers, std::pmr::memory_resource& /*memory*/,
              TensorTable::Metadata& metadata) {
  constexpr std::array kKeys = {kGgufQuantizationKey, kGgufFileTypeKey};
  std::erase_if(metadata, [&](const auto& item) {
    return std::ranges::find(kKeys, item.first) != kKeys.end();
  });
  metadata.emplace_back(kKeys[0], MetadataValue(ValueType::kU32, kVersion));
  metadata.emplace_back(kKeys[1],
                        MetadataValue(ValueType::kU32, format_of(*layers[0].format).file_type));
}

void decode(const Checkpoint& file, StoredLayers& layers) {
  UsualDType usual(file);
  for (const TensorEntry& tensor : file.tensors.entries()) {
    const auto* const found = std::ranges::find(kFormats, tensor.dtype, &GgmlFormat::type);
    const bool is_layer =
        found != kFormats.end() && tensor.shape.size() >= 2 && tensor.name.ends_with(kWeightSuffix);
    if (!is_layer) continue;
    add_codes_alone(tensor, default_format(*find_format(found->format)), kStorage, usual, layers);
  }
}

}  // namespace

const Scheme kGgmlScheme{stay_reason, encode, describe, decode, Runtime::kNone, "GGUF's readers"};

}  // namespace quarrow
