// SPDX-License-Identifier: Apache-2.0
//
// For a layer L of [o, i], after ComfyUI's loader (comfy/ops.py, comfy_kitchen's
// TensorWiseINT8Layout with per_row) and convert_to_quant's files:
//   L.weight        I8  [o, i]  codes
//   L.weight_scale  F32 [o, 1]  scales
//   L.comfy_quant   U8  [n]     JSON that names the scheme and the dtype to compute in
#include "layouts/comfy_int8.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "layouts/description.h"
#include "layouts/layer_names.h"

namespace quarrow {
namespace {

constexpr std::string_view kScale = ".weight_scale";
constexpr std::string_view kQuant = ".comfy_quant";
// The scale of a file of ComfyUI's older scheme.
constexpr std::string_view kOldScale = ".scale_weight";

constexpr std::string_view kFormat = "int8_rowwise";
constexpr Storage kStorage;
// A longer description is not one of this scheme's.
constexpr std::uint64_t kMaxDescriptionBytes = 4096;
constexpr std::size_t kMaxDescriptionValues = 64;

struct DTypeText {
  StoredDType dtype;
  std::string_view torch_name;
  std::string_view description;
};

constexpr std::array kDTypes = {
    DTypeText{StoredDType::kF16, "torch.float16",
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.float16", "per_row": true})"},
    DTypeText{StoredDType::kBF16, "torch.bfloat16",
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.bfloat16", "per_row": true})"},
    DTypeText{StoredDType::kF64, "torch.float64",
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.float64", "per_row": true})"},
    DTypeText{StoredDType::kF32, "torch.float32",
              R"({"format": "int8_tensorwise", "orig_dtype": "torch.float32", "per_row": true})"},
};

StayReason stay_reason(const TensorEntry& tensor, const TensorTable& file,
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

std::vector<EncodedEntry> encode(const LayerToEncode& job, std::pmr::memory_resource& memory) {
  const TensorEntry& tensor = *job.tensor;
  const std::string_view layer = layer_of(tensor.name);
  const std::string_view text =
      std::ranges::find(kDTypes, tensor.dtype, &DTypeText::dtype)->description;
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

// Adds the layers of one file.
class Decoder {
 public:
  Decoder(const Checkpoint& file, StoredLayers& layers) : file_(file), layers_(layers) {}

  void run() {
    for (const TensorEntry& entry : file_.tensors.entries()) {
      const bool describes = entry.name.ends_with(kQuant) && entry.dtype == StoredDType::kU8;
      if (describes && entry.bytes() <= kMaxDescriptionBytes) add(entry);
    }
  }

 private:
  void add(const TensorEntry& entry) {
    std::string bytes(static_cast<std::size_t>(entry.bytes()), '\0');
    const auto* text =
        reinterpret_cast<const char*>(file_.read(entry, 0, bytes.size(), bytes.data()));
    const std::optional<JsonValue> description =
        parse_description({text, bytes.size()}, kMaxDescriptionValues);
    if (!description || !description->is_object()) fail(entry, "it is not a JSON object");
    if (!is_rowwise(*description)) return;
    const std::string layer(entry.name.substr(0, entry.name.size() - kQuant.size()));
    const TensorEntry& codes = companion(entry, layer, kWeightSuffix);
    const TensorEntry& scales = companion(entry, layer, kScale);
    if (codes.shape.size() != 2) {
      throw_layer_fault(FileRule::kLayerShape, file_, &codes, "it must have two dimensions");
    }
    check_entry(file_, codes, StoredDType::kI8, {codes.shape[0], codes.shape[1]});
    check_entry(file_, scales, StoredDType::kF32, {codes.shape[0], 1});
    const StoredDType dtype = dtype_of(entry, *description);
    bool partial_byte = false;
    if (!tensor_bytes(dtype, codes.shape, partial_byte)) {
      throw_layer_fault(FileRule::kLayerShape, file_, &codes, "its values overflow 63 bits");
    }
    layers_.add({.name = codes.name,
                 .shape = codes.shape,
                 .dtype = dtype,
                 .format = default_format(*find_format(kFormat)),
                 .storage = &kStorage,
                 .codes = &codes,
                 .scales = &scales,
                 .zero_points = nullptr,
                 .description = &entry});
  }

  // Other formats, one scale for the tensor and rotated weights are not this one; nor is a layer
  // that does not say which dtype it was.
  static bool is_rowwise(const JsonValue& description) {
    const std::string* format = text_member(description, "format");
    const JsonValue* per_row = description.member("per_row");
    const JsonValue* rotated = description.member("convrot");
    const auto is = [](const JsonValue* value, bool wanted) {
      return value->boolean() != nullptr && *value->boolean() == wanted;
    };
    return format != nullptr && *format == "int8_tensorwise" && per_row != nullptr &&
           is(per_row, true) && (rotated == nullptr || is(rotated, false)) &&
           description.member("orig_dtype") != nullptr;
  }

  StoredDType dtype_of(const TensorEntry& entry, const JsonValue& description) const {
    const std::string* name = text_member(description, "orig_dtype");
    if (name == nullptr) fail(entry, "'orig_dtype' is not a string");
    const auto* found = std::ranges::find(kDTypes, *name, &DTypeText::torch_name);
    if (found == kDTypes.end()) fail(entry, "'orig_dtype' is no float type: " + *name);
    return found->dtype;
  }

  const TensorEntry& companion(const TensorEntry& entry, const std::string& layer,
                               std::string_view suffix) const {
    const std::string name = layer + std::string(suffix);
    const TensorEntry* found = file_.tensors.find(name);
    if (found == nullptr) throw_layer_fault(FileRule::kLayerIncomplete, file_, &entry, name);
    return *found;
  }

  [[noreturn]] void fail(const TensorEntry& entry, std::string detail) const {
    throw_layer_fault(FileRule::kLayerDescription, file_, &entry, std::move(detail));
  }

  const Checkpoint& file_;
  StoredLayers& layers_;
};

void decode(const Checkpoint& file, StoredLayers& layers) { Decoder(file, layers).run(); }

}  // namespace

const Scheme kComfyInt8Scheme{stay_reason, encode, nullptr, decode, Runtime::kComfyUi};

}  // namespace quarrow
